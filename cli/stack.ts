import {
  NODE_PARTS,
  type PartName,
  type Progress,
  SERVER_PARTS,
  status as stackStatus,
  up as startStack,
  down as stopStack,
} from '../deploy/local/stack/index.js';
import type { Settings } from '../workers/settings.js';
import { bold, dim, EXIT, green, note, print, red, table } from './output.js';

/** All parts that `millrace up` starts. */
export const ALL_PARTS: readonly PartName[] = [...SERVER_PARTS, ...NODE_PARTS];

/** One progress line of `up`. */
export function progressLine({ part, state, detail, ms }: Progress): string {
  const time = dim(`${(ms / 1000).toFixed(1).padStart(6)} s`);
  const good = state === 'ready' || state === 'external' || state === 'installed';
  return `${time}  ${part.padEnd(9)} ${good ? green(state) : state}  ${dim(detail)}`;
}

export async function up(settings: Settings, options: { serversOnly?: boolean }): Promise<void> {
  const parts = options.serversOnly ? SERVER_PARTS : ALL_PARTS;
  const { temporalUi } = await startStack({ settings, parts, onProgress: (progress) => note(progressLine(progress)) });
  note(`\n${bold('Temporal UI')}  ${temporalUi}\nNext: millrace run voice-assistant --audio question.wav`);
}

export async function down(settings: Settings): Promise<void> {
  note((await stopStack(settings)) ? 'stopped' : 'nothing was running');
}

export function status(settings: Settings, options: { json?: boolean }): void {
  const now = stackStatus(settings);
  if (options.json) print(JSON.stringify(now));
  else if (!now.up && now.parts.length === 0) print('nothing is running');
  else {
    const rows = now.parts.map((part) => [
      part.name,
      part.state,
      part.pid ?? '',
      part.restarts,
      part.address,
      part.program ?? '',
      part.log ?? '',
      part.lastExit ?? '',
    ]);
    print(table(['part', 'state', 'pid', 'restarts', 'address', 'program', 'log', 'last exit'], rows));
    print(now.ready ? green('ready') : red(now.up ? 'not ready' : 'not up'));
  }
  process.exitCode = now.ready ? EXIT.ok : EXIT.unavailable;
}
