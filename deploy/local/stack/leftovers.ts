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
import { SUPERVISOR_MAIN } from './paths.js';
import { clearState, readState } from './stack-state.js';

/** Time between SIGTERM and SIGKILL for processes left by a killed supervisor, in milliseconds. */
const GRACE_MS = 5_000;

/**
 * Ends the remains of a stack whose supervisor is gone: the recorded parts, and every process that carries the home's
 * mark. A recorded pid that belongs to another process by now is left alone. Returns the ended processes.
 */
export async function endLeftovers(home: string): Promise<readonly ProcessIdentity[]> {
  // A supervisor whose record is lost (its home was deleted) would restart the parts.
  const supervisors = markedProcesses(STACK_MARK, home).filter(({ command }) =>
    command.includes(path.basename(SUPERVISOR_MAIN)),
  );
  for (const { pid } of supervisors) signalProcess(pid, 'SIGTERM');
  await untilGone(() => supervisors.some(isAlive));
  const recorded = (readState(home)?.parts ?? []).flatMap((part) => (part.process ? [part.process] : []));
  const leaders = recorded.filter(isAlive);
  for (const { pid } of leaders) signalProcess(pid, 'SIGTERM');
  await untilGone(() => leaders.some(isAlive));
  for (const leader of leaders) if (isAlive(leader)) signalGroup(leader.pid, 'SIGKILL');
  const strays = markedProcesses(STACK_MARK, home);
  for (const { pid } of strays) signalProcess(pid, 'SIGKILL');
  await untilGone(() => [...leaders, ...strays].some(isAlive));
  clearState(home);
  return [...leaders, ...strays];
}

async function untilGone(anyLeft: () => boolean): Promise<void> {
  const giveUpAt = Date.now() + GRACE_MS;
  while (anyLeft() && Date.now() < giveUpAt) await sleep(20);
}
