import { type PlannerInput, type PoolAffinity, tellsOfPrefixes } from '../placement/planner/index.js';
import { nearest } from '../placement/source/index.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
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
  const [first] = Object.keys(stated);
  const unknown = Object.keys(stated).find((model) => !models.includes(model));
  if (unknown !== undefined)
    throw wrongOption('--affinity', `no stage uses a model "${unknown}"${nearest(unknown, models)}`);
  if (!tellsOfPrefixes(profiles, columns)) {
    if (first === undefined) return {};
    const message = `the load says nothing of prefix caches, so that it changes nothing: give a trace with tokens_cached, as "millrace trace import mooncake --caches" writes it, or --size tokens_cached=<tokens>`;
    throw wrongOption('--affinity', message);
  }
  const hasFile = settings.MILLRACE_MODELS !== undefined || settings.config.models !== undefined;
  const pools = hasFile ? await loadModels(settings) : {};
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
