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

/** How long the soonest task is remembered, at least, in milliseconds: a clock may be set meanwhile. */
const REMEMBERED_MS = 300_000;

/**
 * The ages at which a worker gets its tasks, by its clock and Temporal's. Where its clock is behind, a task that comes late looks fresh; next to
 * the soonest one it does not.
 */
export class TaskAges {
  #least = Number.POSITIVE_INFINITY;
  #leastBefore = Number.POSITIVE_INFINITY;
  #since = performance.now();

  /** How much later a task of this age has come than the soonest one lately, in milliseconds. */
  lateness(ageMs: number): number {
    if (performance.now() - this.#since > REMEMBERED_MS) {
      this.#leastBefore = this.#least;
      this.#least = Number.POSITIVE_INFINITY;
      this.#since = performance.now();
    }
    this.#least = Math.min(this.#least, ageMs);
    return ageMs - Math.min(this.#least, this.#leastBefore);
  }
}

const HANDLED = [ActivityCancelledError, ActivityPausedError, ActivityResetError];

/**
 * Whether Temporal still expects the result of this attempt. A task may arrive late, e.g. when a silent connection recovers;
 * another worker may then have completed the activity, and a side effect would happen again after its result was recorded.
 * A late task is begun only when Temporal accepts a heartbeat for it; while Temporal does not answer, it is not begun.
 * @param ages of the worker's tasks
 */
export async function isCurrent(context: Context, ages: TaskAges): Promise<boolean> {
  const { info } = context;
  if (info.isLocal) return true;
  const ageMs = Date.now() - info.currentAttemptScheduledTimestampMs;
  if (Math.max(ageMs, ages.lateness(ageMs)) <= FRESH_MS) return true;
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
