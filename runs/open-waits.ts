import type { Caller } from './caller.js';
import type { RunDocument } from './document.js';
import { fromTemporal } from './orchestrator.js';
import { findRun, isDelayed, type RunReading } from './read.js';
import { waitingTogether } from './waiting.js';

/**
 * The open waits of a run that has been read. A document lacks them if no worker answered within a second; then they are asked for again, with
 * more time. Throws `ORCHESTRATOR_UNAVAILABLE` or `OVERLOADED` if it stays unknown whether the run waits.
 */
export async function openWaitsOf(
  deps: RunReading,
  caller: Caller,
  { id, status, waiting }: Pick<RunDocument, 'id' | 'status' | 'waiting'>,
): Promise<NonNullable<RunDocument['waiting']>> {
  if (waiting || status !== 'running') return waiting ?? [];
  const { running, accepted, description } = await findRun(deps, id, caller);
  // Before its first workflow task a run has no waits, and a workflow that has not begun cannot be queried.
  if (!running || accepted || isDelayed(description)) return [];
  try {
    return await waitingTogether(deps, { id, tenant: caller.tenant });
  } catch (error) {
    throw fromTemporal(error, id);
  }
}
