import { type PlannerInput, type PoolAffinity, tellsOfPrefixes } from '../placement/planner/index.js';
import { nearest } from '../placement/source/index.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { modelsSource } from './models-source.js';
import { wrongOption } from './place-files.js';

/**
 * How the calls of models choose among their endpoints, where the load says what of their prompts these have cached: as `stated` by
 * the option, else by the models file if there is one. Throws `INVALID_INPUT` for an option without effect.
 *
 * @param columns sizes of the load
 */
export async function affinityOf(
  settings: Settings,
  { pipelines, profiles }: Pick<PlannerInput, 'pipelines' | 'profiles'>,
  columns: readonly string[],
  stated: Readonly<Record<string, PoolAffinity['affinity']>> = {},
): Promise<Readonly<Record<string, PoolAffinity>>> {
  const models = [...new Set(pipelines.flatMap(({ stages }) => stages.map(({ model }) => model)))];
  for (const model of Object.keys(stated)) expectEffect(model, models, profiles, columns);
  if (!tellsOfPrefixes(profiles, columns)) return {};
  const pools = modelsSource(settings) === undefined ? {} : await loadModels(settings);
  return Object.fromEntries(
    models.flatMap((model): [string, PoolAffinity][] => {
      const affinity = stated[model];
      if (affinity !== undefined) return [[model, { affinity, by: 'option' }]];
      const pool = pools[model];
      if (pool === undefined) return [];
      // What a router behind the endpoint does, the models file does not say.
      const isOurs = pool.kind === 'chat' && pool.options?.router === undefined;
      return [[model, { affinity: isOurs ? (pool.affinity ?? 'session') : 'none', by: 'models' }]];
    }),
  );
}

/** Throws `INVALID_INPUT` for a model whose calls have no prefix to choose by. */
function expectEffect(
  model: string,
  models: readonly string[],
  profiles: PlannerInput['profiles'],
  columns: readonly string[],
): void {
  if (!models.includes(model))
    throw wrongOption('--affinity', `no stage uses a model "${model}"${nearest(model, models)}`);
  const own = profiles.filter(({ value }) => value.model === model);
  if (own.length > 0 && own.every(({ value }) => value.batching !== 'continuous')) {
    const message = `"${model}" has no tokens by its profiles, and no prefix cache: name an LLM`;
    throw wrongOption('--affinity', message);
  }
  if (tellsOfPrefixes(own.length > 0 ? own : profiles, columns)) return;
  const message = `the load says nothing of prefix caches of "${model}", so that it changes nothing: give a trace with tokens_cached, as "millrace trace import mooncake --caches" writes it, or --size tokens_cached=<tokens>`;
  throw wrongOption('--affinity', message);
}
