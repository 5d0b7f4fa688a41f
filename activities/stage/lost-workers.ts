import type { Context } from '@temporalio/activity';
import { MillraceError } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import type { LossNote } from '../../pipelines/run/index.js';
import { describedRun } from './described-run.js';

/**
 * Number of workers lost in a row during one call after which the call is taken for the cause. A worker killed for
 * another reason counts as well, one that is asked to shut down does not.
 */
export const MOST_LOSSES = 2;

export const workerLost = () =>
  new MillraceError(
    'WORKER_LOST',
    `${MOST_LOSSES} workers in a row were lost while running this call; it is not repeated`,
  );

/** Temporal's timeout types: the attempt took too long, or its heartbeats stopped. */
const TIMEOUTS = { attempt: 1, heartbeat: 4 };

/** Outcome of earlier attempts that ended without a report. */
export interface Before {
  /** Workers lost in a row during them. */
  readonly losses: number;
  /** The last one took too long, and Temporal ended it before its worker did. */
  readonly timedOut: boolean;
}

/** Whether the attempt before this one has left how it ended, or there was none. */
export const isReported = ({ attempt }: Pick<Context['info'], 'attempt'>, note: LossNote | undefined): boolean =>
  attempt === 1 || note?.ended === attempt - 1;

/** Most remembered attempts of a worker; the oldest are dropped first. */
const MOST_OWN = 10_000;

/** The latest attempts that a worker has begun. */
export class OwnAttempts {
  readonly #latest = new Map<string, number>();

  /** Notes an attempt; whether the one before it was of this worker too. */
  begin({ workflowExecution, activityId, attempt }: Context['info']): boolean {
    const key = `${workflowExecution?.workflowId}:${workflowExecution?.runId}:${activityId}`;
    const before = this.#latest.get(key);
    this.#latest.delete(key);
    this.#latest.set(key, attempt);
    keepNewest(this.#latest, MOST_OWN);
    return before === attempt - 1;
  }
}

/**
 * Queries Temporal unless the previous attempt reported its own end.
 * @param own the attempts of this worker: if it has begun the previous one, it has stalled and was not lost
 */
export async function attemptsBefore(context: Context, note: LossNote | undefined, own: OwnAttempts): Promise<Before> {
  const { info } = context;
  const here = own.begin(info);
  if (info.isLocal || isReported(info, note)) return { losses: 0, timedOut: false };
  try {
    const { pending } = await describedRun(context);
    const timeout = pending?.lastFailure?.timeoutFailureInfo?.timeoutType;
    const { losses = 0, rests = false } = note ?? {};
    const lost = timeout === TIMEOUTS.heartbeat && !here;
    return { losses: lost ? losses + (rests ? 0 : 1) : 0, timedOut: timeout === TIMEOUTS.attempt };
  } catch {
    // The previous attempt's end is unknown: the count stays.
    return { losses: note?.losses ?? 0, timedOut: false };
  }
}
