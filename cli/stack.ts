import path from 'node:path';
import {
  NODE_PARTS,
  OUTDATED,
  outdatedParts,
  type PartName,
  type Progress,
  SERVER_PARTS,
  status as stackStatus,
  up as startStack,
  down as stopStack,
} from '../deploy/local/stack/index.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import type { Settings } from '../workers/settings.js';
import { nextCommand } from './next-step.js';
import { bold, dim, EXIT, green, note, print, printJson, red, show, table } from './output.js';

/** All parts that `millrace up` starts. */
export const ALL_PARTS: readonly PartName[] = [...SERVER_PARTS, ...NODE_PARTS];

/** One progress line of `up`. */
export function progressLine({ part, state, detail, ms }: Progress): string {
  const time = dim(`${(ms / 1000).toFixed(1).padStart(6)} s`);
  const good = state === 'ready' || state === 'external' || state === 'installed';
  return `${time}  ${part.padEnd(9)} ${good ? green(state) : state}  ${dim(detail)}`;
}

/**
 * `millrace up`. Pipelines are checked first: a worker and a gateway that could not start must not replace anything, and
 * nothing is started or stopped for them.
 */
export async function up(settings: Settings, options: { serversOnly?: boolean }): Promise<void> {
  const pipelines = options.serversOnly ? [] : await validPipelines(settings);
  const parts = options.serversOnly ? SERVER_PARTS : ALL_PARTS;
  const { temporalUi } = await startStack({ settings, parts, onProgress: (progress) => note(progressLine(progress)) });
  note(`\n${bold('Temporal UI')}  ${temporalUi}`);
  note(`Next: ${nextCommand(pipelines) ?? 'millrace up, for a worker and the gateway'}`);
  if (pipelines.length > 1) note(`      millrace pipelines   lists all ${pipelines.length}`);
}

/** Imported here: `status` and `down`, which check no pipelines, would take a second longer. */
async function validPipelines(settings: Settings): Promise<readonly Pipeline[]> {
  const { requireValid } = await import('./validate.js');
  return await requireValid(settings);
}

export async function down(settings: Settings): Promise<void> {
  note((await stopStack(settings)) ? 'stopped' : 'nothing was running');
}

/** `millrace status` */
export async function status(settings: Settings, options: { json?: boolean }): Promise<void> {
  const now = stackStatus(settings);
  const outdated = await outdatedParts(settings);
  process.exitCode = now.ready ? EXIT.ok : EXIT.unavailable;
  if (options.json) {
    const parts = now.parts.map((part) => ({ ...part, ...(outdated.includes(part.name) && { outdated: true }) }));
    return printJson({ ...now, parts });
  }
  if (!now.up && now.parts.length === 0) return print('nothing is running');
  const rows = now.parts.map(({ name, state, pid = '', restarts, address }) => [name, state, pid, restarts, address]);
  show(table(['part', 'state', 'pid', 'restarts', 'address'], rows));
  for (const { name, program, lastExit } of now.parts) {
    if (program !== undefined) show(`${name}: ${program}`);
    if (lastExit !== undefined) show(`${name}: ${lastExit} the last time`);
  }
  if (now.parts.some(({ log }) => log !== undefined))
    show(`logs: ${path.join(settings.MILLRACE_HOME, 'logs', '<part>.log')}`);
  for (const name of outdated) show(red(`${name}: ${OUTDATED}`));
  print(now.ready ? green('ready') : red(now.up ? 'not ready' : 'not up'));
}
