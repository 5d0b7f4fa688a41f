import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { invalidSettings } from '../../../pipelines/invalid-setting.js';
import { readJson } from '../../../runtime/json-file.js';
import { environmentOf } from '../../../runtime/process-identity.js';
import { type PoolVariable, variablesOf } from '../../../workers/pool-keys.js';
import { readSettings, type Settings } from '../../../workers/settings.js';
import { changedSettings, settingHashes, settingNames } from './part-settings.js';
import { NODE_PARTS, type PartName } from './part-spec.js';
import { type StackState, settingsPath } from './stack-state.js';

const hashes = z.record(z.string(), z.string());

type Environment = ReadonlyMap<string, string | undefined>;

interface Now {
  /** Where the variables are now. */
  readonly env?: NodeJS.ProcessEnv;
  /** The environment that this process was started with. What differs in `env` was set by the configuration or the pipelines. */
  readonly given?: Environment | undefined;
}

/**
 * Throws `STACK_SETTINGS_CHANGED` with the settings, and the variables with keys of pools, that differ from those of the running stack,
 * and `INVALID_SETTING` with the variables that a worker needs and would not have.
 *
 * @param wanted the parts that are asked for
 */
export async function requireSameSettings(
  settings: Settings,
  running: StackState,
  wanted: readonly PartName[],
  { env = process.env, given = environmentOf(process.pid) }: Now = {},
): Promise<void> {
  const home = settings.MILLRACE_HOME;
  const before = hashes.safeParse(readJson(settingsPath(home)));
  const now = settingHashes(settings);
  const present = running.parts.map(({ name }) => name);
  const changed = new Set(changedSettings(present, before.success ? before.data : {}, now));
  const nodes = NODE_PARTS.filter((part) => wanted.includes(part));
  const started = nodes.length === 0 ? undefined : environmentOf(running.supervisor.pid);
  if (started) {
    // Imported here: other commands on the stack would take longer.
    const { loadModels } = await import('../../../workers/models.js');
    const variables = variablesOf(await loadModels(settings));
    if (nodes.includes('worker')) requireVariables(variables, env, started);
    // What worker and gateway would read, also if this is their first start. The hashes are those of the last part that was added.
    const theirs = readSettings(Object.fromEntries(started), settings.config);
    for (const name of changedSettings(nodes, settingHashes(theirs), now)) changed.add(name);
    for (const name of changedVariables(variables, env, given, started)) changed.add(name);
  }
  if (changed.size === 0) return;
  const names = [...changed].sort();
  throw new MillraceError(
    'STACK_SETTINGS_CHANGED',
    `The stack in ${home} runs with different values of ${names.join(', ')}. Stop it first: millrace down`,
    { fields: names.map((field) => ({ field, message: 'differs from what the stack was started with' })) },
  );
}

/** A worker that cannot start must not replace one that runs. */
function requireVariables(variables: readonly PoolVariable[], env: NodeJS.ProcessEnv, started: Environment): void {
  const missing = variables.filter(({ name, atStart }) => atStart && !env[name]?.trim() && !started.get(name)?.trim());
  if (missing.length === 0) return;
  const fields = missing.map(({ name, field }) => ({
    field,
    message: `neither this environment nor that of the running stack has ${name}, without which no worker starts`,
  }));
  throw invalidSettings(fields, 'models');
}

/**
 * Worker and gateway have the environment of their supervisor, also when they are started again: what pools name there is what it was at the
 * start of the stack. A variable that is not set now is no change, nor is one that the configuration or the pipelines set, as they do in
 * worker and gateway too: a token that lives for minutes is another one each time. Settings are compared as such.
 */
function changedVariables(
  variables: readonly PoolVariable[],
  env: NodeJS.ProcessEnv,
  given: Environment | undefined,
  started: Environment,
): string[] {
  const known: readonly string[] = settingNames();
  return variables.flatMap(({ name }) => {
    const now = env[name]?.trim();
    const isOurs = given === undefined || given.get(name) === env[name];
    return now && isOurs && now !== started.get(name)?.trim() && !known.includes(name) ? [name] : [];
  });
}
