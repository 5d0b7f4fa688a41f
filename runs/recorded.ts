import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import { type Paced, readPaced } from './paced-runs.js';
import type { RunRecord } from './read.js';
import { BACKSTOP_MS } from './start.js';
import { waitForRun } from './wait.js';

/** How long Temporal's record is waited for of a run whose result has been sent ahead of it, in milliseconds; it takes a few. */
export const RECORDED_MS = 2_000;
/** Pause that a caller is asked for where the record is late, in milliseconds. */
const AGAIN_MS = 1_000;
/** How long it is known at most that a result has been sent, in milliseconds: each costs the state store 100 bytes. */
const MOST_KEPT_MS = 3_600_000;

/**
 * Notes that the result of a run is about to be sent ahead of Temporal's record, for as long as Temporal may take to record it. False if it
 * could not be noted: the result is then read from Temporal, since another request would take the run for one that still runs.
 */
export async function noteSent(
  { sentResults, logger }: Pick<RunDeps, 'sentResults' | 'logger'>,
  { id, plan }: { readonly id: string; readonly plan: Pick<Plan, 'deadlineMs'> },
): Promise<boolean> {
  try {
    await sentResults?.add(id, Math.min(plan.deadlineMs + BACKSTOP_MS, MOST_KEPT_MS));
    return true;
  } catch (error) {
    logger.warn({ runId: id, error: messageOf(error) }, 'a result is not sent ahead of Temporal’s record');
    return false;
  }
}

type Recording = Pick<RunDeps, 'sentResults' | 'temporal' | 'uiUrl' | 'webhooks' | 'ends' | 'logger'>;

/**
 * A run for callers who may have been sent its result: of one that Temporal shows as running, the record of its end is waited for if the
 * result has been sent, or if that is not known. Throws `ORCHESTRATOR_UNAVAILABLE` if the result has been sent and Temporal has not
 * recorded it by then: that the run has not ended would be wrong. Throws as `readPaced` does.
 * @param found the run as it has just been read
 * @param how how it is read again at its end
 */
export async function readRecorded(
  deps: Recording,
  found: RunRecord,
  caller: Caller,
  waitMs: number = RECORDED_MS,
  how?: Paced,
): Promise<RunRecord> {
  const { id, status } = found.document;
  if (status !== 'running') return found;
  const isSent = await deps.sentResults?.has(id).catch(() => undefined);
  if (isSent === false) return found;
  const end = await waitForRun(deps, { id, tenant: caller.tenant }, waitMs, new AbortController().signal);
  if (end) return await readPaced(deps, id, caller, how);
  if (isSent) throw notRecorded(id);
  return found;
}

/**
 * The error of a request that needs a run to have ended which Temporal shows as running: `RUN_NOT_ENDED`, and
 * `ORCHESTRATOR_UNAVAILABLE` if its result has been sent.
 */
export async function notEnded(
  deps: Pick<RunDeps, 'sentResults'>,
  id: string,
  message: string,
): Promise<MillraceError> {
  const isSent = await deps.sentResults?.has(id).catch(() => undefined);
  return isSent ? notRecorded(id) : new MillraceError('RUN_NOT_ENDED', message);
}

function notRecorded(id: string): MillraceError {
  const message = `the run ${id} has ended, but Temporal has not recorded its end yet: send the request again`;
  return new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, { retryAfterMs: AGAIN_MS });
}
