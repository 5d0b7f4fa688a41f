import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isAlive,
  markedProcesses,
  type ProcessIdentity,
  signalGroup,
  signalProcess,
} from '../../../runtime/process-identity.js';
import { STACK_MARK } from './marks.js';
import { STOP_ORDER } from './part-spec.js';
import { SUPERVISOR_MAIN } from './paths.js';
import { clearState, readState } from './stack-state.js';
import { gracesOf, stopTimeMs } from './stop-times.js';

/** Longest wait for killed processes to be gone, in milliseconds. */
const GONE_MS = 5_000;

/**
 * Ends the remains of a stack whose supervisor is gone: the recorded parts, in the order and with the graces in which
 * the supervisor stops them, and every process that carries the home's mark. A recorded pid that belongs to another
 * process by now is left alone. Returns the ended processes.
 */
export async function endLeftovers(home: string): Promise<readonly ProcessIdentity[]> {
  // A supervisor whose record is lost (its home was deleted) would restart the parts.
  const supervisors = markedProcesses(STACK_MARK, home).filter(({ command }) =>
    command.includes(path.basename(SUPERVISOR_MAIN)),
  );
  for (const { pid } of supervisors) signalProcess(pid, 'SIGTERM');
  await untilGone(() => supervisors.some(isAlive), stopTimeMs(home));
  const grace = gracesOf(home);
  const recorded = readState(home)?.parts ?? [];
  const ended: ProcessIdentity[] = [];
  for (const names of STOP_ORDER) {
    const parts = recorded.filter(({ name }) => names.includes(name));
    const leaders = parts.flatMap(({ process }) => (process && isAlive(process) ? [process] : []));
    for (const { pid } of leaders) signalProcess(pid, 'SIGTERM');
    await untilGone(() => leaders.some(isAlive), Math.max(...names.map(grace)));
    for (const leader of leaders) if (isAlive(leader)) signalGroup(leader.pid, 'SIGKILL');
    ended.push(...leaders);
  }
  const strays = markedProcesses(STACK_MARK, home);
  for (const { pid } of strays) signalProcess(pid, 'SIGKILL');
  await untilGone(() => [...ended, ...strays].some(isAlive), GONE_MS);
  clearState(home);
  return [...ended, ...strays];
}

async function untilGone(anyLeft: () => boolean, withinMs: number): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  while (anyLeft() && Date.now() < giveUpAt) await sleep(20);
}
