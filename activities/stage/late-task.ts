import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '@temporalio/activity';
import {
  ActivityCancelledError,
  ActivityNotFoundError,
  ActivityPausedError,
  ActivityResetError,
} from '@temporalio/client';

/**
 * A task that arrives within this time, in milliseconds, is begun at once: Temporal gives it to another worker no earlier than
 * the heartbeat timeout, 5 s. The clocks of workers and Temporal may differ by the rest.
 */
export const FRESH_MS = 1_000;

/** Timeout of one request to Temporal, and the pause between two, in milliseconds. */
const ANSWER_MS = 1_000;
const PAUSE_MS = 250;

const HANDLED = [ActivityCancelledError, ActivityPausedError, ActivityResetError];

/**
 * Whether Temporal still expects the result of this attempt. A task may arrive late, e.g. when a silent connection recovers;
 * another worker may then have completed the activity, and a side effect would happen again after its result was recorded.
 * A late task is begun only when Temporal accepts a heartbeat for it; while Temporal does not answer, it is not begun.
 */
export async function isCurrent(context: Context): Promise<boolean> {
  const { info } = context;
  if (info.isLocal || Date.now() - info.currentAttemptScheduledTimestampMs <= FRESH_MS) return true;
  return await isExpected(context, info.heartbeatDetails, context.cancellationSignal);
}

/**
 * Asks Temporal whether it still expects the result of this attempt, until it answers or `signal` aborts.
 * @param details of the heartbeat by which it is asked
 */
export async function isExpected(
  { info, client }: Pick<Context, 'info' | 'client'>,
  details: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  const until = Date.now() + info.startToCloseTimeoutMs;
  while (Date.now() < until && !signal.aborted) {
    try {
      await client.withDeadline(Date.now() + ANSWER_MS, () => client.activity.heartbeat(info.taskToken, details));
      return true;
    } catch (error) {
      if (error instanceof ActivityNotFoundError) return false;
      // The heartbeats of the attempt itself handle these.
      if (HANDLED.some((each) => error instanceof each)) return true;
      await sleep(PAUSE_MS);
    }
  }
  return false;
}
