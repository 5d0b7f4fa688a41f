import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { readJson } from '../../../runtime/json-file.js';
import { environmentOf } from '../../../runtime/process-identity.js';
import { variablesOf } from '../../../workers/pool-keys.js';
import type { Settings } from '../../../workers/settings.js';
import { changedSettings, settingHashes, settingNames } from './part-settings.js';
import { NODE_PARTS, type PartName } from './part-spec.js';
import { type StackState, settingsPath } from './stack-state.js';

const hashes = z.record(z.string(), z.string());

/**
 * Throws `STACK_SETTINGS_CHANGED` with the settings, and the variables with keys of pools, that differ from those of the running stack.
 *
 * @param wanted the parts that are asked for
 * @param env where the variables are now
 */
export async function requireSameSettings(
  settings: Settings,
  running: StackState,
  wanted: readonly PartName[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const home = settings.MILLRACE_HOME;
  const before = hashes.safeParse(readJson(settingsPath(home)));
  const present = running.parts.map(({ name }) => name);
  const changed = [
    ...changedSettings(present, before.success ? before.data : {}, settingHashes(settings)),
    ...(NODE_PARTS.some((part) => wanted.includes(part))
      ? await changedVariables(settings, running.supervisor.pid, env)
      : []),
  ];
  if (changed.length === 0) return;
  throw new MillraceError(
    'STACK_SETTINGS_CHANGED',
    `The stack in ${home} runs with different values of ${changed.join(', ')}. Stop it first: millrace down`,
    { fields: changed.map((field) => ({ field, message: 'differs from what the stack was started with' })) },
  );
}

/**
 * Worker and gateway have the environment of their supervisor, also when they are started again: what pools name there is what it was at the
 * start of the stack. A variable that is not set now is no change. Settings are compared by their hashes.
 */
async function changedVariables(settings: Settings, supervisor: number, env: NodeJS.ProcessEnv): Promise<string[]> {
  const started = environmentOf(supervisor);
  if (started === undefined) return [];
  const known: readonly string[] = settingNames();
  // Imported here: other commands on the stack would take longer.
  const { loadModels } = await import('../../../workers/models.js');
  return variablesOf(await loadModels(settings)).filter((name) => {
    const now = env[name]?.trim();
    return now && now !== started.get(name)?.trim() && !known.includes(name);
  });
}
