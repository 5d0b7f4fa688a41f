import { ApplicationFailure, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { LONGEST_TIMER_MS } from '../pipelines/duration.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type { StageCall, StageOutcome } from '../pipelines/plan/index.js';
import { mayRetry, nextDelayMs } from '../pipelines/retry.js';
import { type LossNote, lossesBefore, MOST_LOSSES, told, workerLost } from './lost-workers.js';
import type { StageRunner } from './stage-runner.js';

export type StageActivity = (input: JsonObject, call: StageCall) => Promise<StageOutcome>;

/** Cancellation reaches an activity with the answer to a beat, and its call then has as long again to end within a second. */
const HEARTBEAT_INTERVAL_MS = 500;

/**
 * The one activity: registered as `default`, it serves every activity type, so that an activity is typed by its stage's name.
 * @param devices where its stages are served, for a worker of devices' queues
 */
export function createActivities(runner: StageRunner, devices?: readonly string[]): { default: StageActivity } {
  return {
    async default(input, call) {
      const context = Context.current();
      const { info } = context;
      const before = (info.heartbeatDetails ?? {}) as { progress?: Json; lost?: LossNote };
      let progress: Json = before.progress ?? null;
      const losses = await lossesBefore(context, before.lost);
      const beat = (ended?: number) =>
        context.heartbeat({ progress, lost: { losses, ...(ended !== undefined && { ended }) } });
      if (losses >= MOST_LOSSES) throw asFailure(workerLost(), call, info.attempt);
      if (losses > 0) {
        beat();
        await told();
      }
      const beating = setInterval(() => beat(), HEARTBEAT_INTERVAL_MS);
      // Temporal tells a worker of a timed-out attempt late (with a beat) or never; the call must not outlive it.
      const expiry = new AbortController();
      const expire = () => expiry.abort(expired(info.startToCloseTimeoutMs));
      const limitMs = info.startToCloseTimeoutMs - leadMs(info.startToCloseTimeoutMs, call);
      const expiring = setTimeout(expire, Math.min(limitMs, LONGEST_TIMER_MS));
      const signal = AbortSignal.any([context.cancellationSignal, expiry.signal]);
      try {
        return await runner.run(input, call, {
          signal,
          attempt: info.attempt,
          queueMs: Math.max(0, Date.now() - info.currentAttemptScheduledTimestampMs),
          run: info.workflowExecution?.workflowId ?? info.activityId,
          resumeFrom: progress,
          ...(devices && { devices }),
          checkpoint(details) {
            progress = details;
            beat();
          },
        });
      } catch (error) {
        // What reports the failure carries the last beat's details.
        if (!info.isLocal) beat(info.attempt);
        if (context.cancellationSignal.aborted) throw new CancelledFailure('the stage was cancelled');
        // Many a library throws an error of its own where the signal says why.
        throw asFailure(expiry.signal.aborted ? expiry.signal.reason : error, call, info.attempt);
      } finally {
        clearInterval(beating);
        clearTimeout(expiring);
      }
    },
  };
}

const expired = (ms: number) => new MillraceError('STAGE_TIMEOUT', `the attempt took longer than ${ms} ms`);

/**
 * How long before Temporal's own timeout an attempt expires: a call takes up to a second to end, but most end within some
 * milliseconds. Temporal's knows no codes, and would try again what `retry.on` rules out.
 */
const LEAD = { ms: 250, share: 0.1 };
const leadMs = (timeoutMs: number, { retry }: StageCall): number =>
  retry.on === undefined ? 0 : Math.min(LEAD.ms, timeoutMs * LEAD.share);

/** Longest message, in UTF-16 units. Of a larger failure Temporal keeps neither the code nor the stage. */
const LONGEST_MESSAGE = 5_000;

function asFailure(error: unknown, call: StageCall, attempt: number): ApplicationFailure {
  const known =
    error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error), {}, { cause: error });
  return ApplicationFailure.create({
    type: known.code,
    message: known.message.slice(0, LONGEST_MESSAGE),
    details: [{ ...known.details, stage: call.stage, attempt }],
    ...retryOf(known, call, attempt),
    ...(known.cause instanceof Error && known.cause.message.length <= LONGEST_MESSAGE && { cause: known.cause }),
  });
}

/** What Temporal is told of the next attempt. How many there are, and by when, it knows from the activity's options. */
function retryOf({ code, details: { retryAfterMs } }: MillraceError, { retry }: StageCall, attempt: number) {
  if (!mayRetry(retry, code)) return { nonRetryable: true };
  return { nonRetryable: false, nextRetryDelay: nextDelayMs(retry, attempt, retryAfterMs, Math.random()) };
}
