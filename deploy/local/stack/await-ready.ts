import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { isAlive } from '../../../runtime/process-identity.js';
import { lastLines } from './command.js';
import type { PartName } from './part-spec.js';
import type { OnProgress } from './progress.js';
import { logPath, type PartRecord, readState } from './stack-state.js';

/**
 * Failed starts in a row after which `up` fails. Triton aborts about one start in twelve, so one failure means nothing.
 */
const MAX_FAILURES = 4;
const TIMEOUT_MS = 240_000;
const POLL_MS = 50;
const LOG_LINES = 12;

/** Follows the supervisor's state until these parts are ready, and reports each change. */
export async function awaitReady(home: string, wanted: readonly PartName[], notify: OnProgress): Promise<void> {
  const reported = new Map<PartName, string>();
  const giveUpAt = Date.now() + TIMEOUT_MS;
  for (;;) {
    const state = readState(home);
    if (!state || !isAlive(state.supervisor)) {
      throw failed(`The supervisor ended.\n${logTail(logPath(home, 'supervisor'))}`);
    }
    const parts = state.parts.filter(({ name }) => wanted.includes(name));
    for (const part of parts) {
      const change = `${part.state} ${part.starts}`;
      if (reported.get(part.name) !== change) report(part, notify);
      reported.set(part.name, change);
      if (part.state !== 'ready' && part.failures >= MAX_FAILURES) throw notStarting(part);
    }
    // A part that was just requested may not be in the state yet.
    if (parts.length === wanted.length && parts.every((part) => part.state === 'ready')) return;
    if (Date.now() > giveUpAt) {
      const late = wanted.filter((name) => parts.find((part) => part.name === name)?.state !== 'ready');
      throw failed(`Not ready after ${TIMEOUT_MS / 1000} s: ${late.join(', ')}. See the logs in ${home}/logs.`);
    }
    await sleep(POLL_MS);
  }
}

function report(part: PartRecord, notify: OnProgress): void {
  if (part.state === 'ready') notify(part.name, 'ready', part.address);
  else if (part.state === 'starting') notify(part.name, 'starting', part.starts > 1 ? `start ${part.starts}` : '');
  else if (part.state === 'backoff') notify(part.name, 'retrying', exitText(part));
}

const notStarting = (part: PartRecord): MillraceError =>
  failed(`${part.name} does not start: ${exitText(part)} ${part.failures} times in a row.\n${logTail(part.log)}`);

const failed = (message: string): MillraceError => new MillraceError('STACK_START_FAILED', message);

/** How a part ended, as text. */
export function exitText({ lastExit }: Pick<PartRecord, 'lastExit'>): string {
  if (!lastExit) return '';
  const how = lastExit.signal ? `was ended by ${lastExit.signal}` : `exited with ${lastExit.code ?? 'no status'}`;
  return lastExit.reason ? `${how} (${lastExit.reason})` : how;
}

function logTail(file: string): string {
  try {
    return `Last lines of ${file}:\n${lastLines(readFileSync(file, 'utf8'), LOG_LINES)}`;
  } catch {
    return `See ${file}.`;
  }
}
