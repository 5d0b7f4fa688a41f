import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, signalGroup, signalProcess } from '../../../runtime/process-identity.js';
import { awaitReady } from './await-ready.js';
import type { PartName } from './part-spec.js';
import type { OnProgress } from './progress.js';
import { readState } from './stack-state.js';
import { gracesOf, MARGIN_MS } from './stop-times.js';

/** Longest wait for the supervisor to notice that a part has ended, in milliseconds. */
const NOTICE_MS = 45_000;
const POLL_MS = 50;

/**
 * Ends a part by SIGTERM, so that it finishes what it is doing, and resolves when the supervisor has started it again
 * and it is ready. It is killed after the grace that it was started with and a margin. A part without a process is being
 * started anyway.
 * @throws MillraceError STACK_START_FAILED if it does not start
 */
export async function restart(
  home: string,
  part: PartName,
  notify: OnProgress,
  marginMs: number = MARGIN_MS,
): Promise<void> {
  const process = readState(home)?.parts.find(({ name }) => name === part)?.process;
  if (process !== undefined && isAlive(process)) {
    notify(part, 'restarting', 'the build, the pipelines or the models file have changed');
    signalProcess(process.pid, 'SIGTERM');
    const giveUpAt = Date.now() + gracesOf(home)(part) + marginMs;
    while (isAlive(process) && Date.now() < giveUpAt) await sleep(POLL_MS);
    if (isAlive(process)) signalGroup(process.pid, 'SIGKILL');
    // Until the supervisor has noticed the end, its record still says that the part is ready.
    const noticed = () => readState(home)?.parts.find(({ name }) => name === part)?.process?.pid !== process.pid;
    const noticedBy = Date.now() + NOTICE_MS;
    while (!noticed() && Date.now() < noticedBy) await sleep(POLL_MS);
  }
  await awaitReady(home, [part], notify);
}
