import type { Context } from '@temporalio/activity';
import { MillraceError } from '../../pipelines/errors.js';

/**
 * How many workers in a row may be lost while one call is under way in them, before the call is taken for the cause. A worker
 * that is killed for another reason counts as well, one that is asked to end does not.
 */
export const MOST_LOSSES = 2;

export const workerLost = () =>
  new MillraceError(
    'WORKER_LOST',
    `${MOST_LOSSES} workers in a row were lost while they ran it; it is not called again`,
  );

/** What an activity's beats tell its next attempt. */
export interface LossNote {
  /** The number of the attempt that has ended, in whatever way: its worker was not lost in it. */
  readonly ended?: number;
  /** How many workers in a row were lost before the attempt. */
  readonly losses: number;
}

/** Temporal's own numbers of the kinds of timeouts: the attempt took too long, or it stopped beating. */
const TIMEOUTS = { attempt: 1, heartbeat: 4 };

/** Longest wait for Temporal's answer, in milliseconds. */
const ANSWER_MS = 1_000;

/** After a loss its number has to be in Temporal before the call begins, which may end this worker at once. */
const TOLD_MS = 200;

/** What became of the attempts before this one that ended without a word. */
export interface Before {
  /** How many workers in a row were lost in them. */
  readonly losses: number;
  /** The last one took too long, and Temporal ended it before its worker did. */
  readonly timedOut: boolean;
}

/** Asks Temporal where the attempt before has not said itself that it ended. */
export async function attemptsBefore({ info, client }: Context, note: LossNote | undefined): Promise<Before> {
  if (info.isLocal || info.attempt === 1 || note?.ended === info.attempt - 1) return { losses: 0, timedOut: false };
  const { workflowId = '', runId } = info.workflowExecution ?? {};
  try {
    const { raw } = await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    const before = raw.pendingActivities?.find(({ activityId }) => activityId === info.activityId)?.lastFailure;
    const timeout = before?.timeoutFailureInfo?.timeoutType;
    const lost = timeout === TIMEOUTS.heartbeat;
    return { losses: lost ? (note?.losses ?? 0) + 1 : 0, timedOut: timeout === TIMEOUTS.attempt };
  } catch {
    // Nobody knows why the attempt before has ended: what was known before that stays.
    return { losses: note?.losses ?? 0, timedOut: false };
  }
}

/** Resolves when Temporal has what was beaten last. */
export const told = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, TOLD_MS));
