import { ApplicationFailure, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { errorRow, MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type { StageCall, StageOutcome } from '../pipelines/plan/index.js';
import type { StageRunner } from './stage-runner.js';

export type StageActivity = (input: JsonObject, call: StageCall) => Promise<StageOutcome>;

/** Five beats within the heartbeat timeout of 5 s; cancellation reaches an activity with the answer to a beat. */
const HEARTBEAT_INTERVAL_MS = 1_000;

/** The one activity: registered as `default`, it serves every activity type, so that an activity is typed by its stage's name. */
export function createActivities(runner: StageRunner): { default: StageActivity } {
  return {
    async default(input, call) {
      const context = Context.current();
      const { info } = context;
      let progress: Json = (info.heartbeatDetails as Json | undefined) ?? null;
      const beat = () => context.heartbeat(progress);
      const beating = info.isLocal ? undefined : setInterval(beat, HEARTBEAT_INTERVAL_MS);
      // Temporal tells a worker of a timed-out attempt late (with a beat) or never; the call must not outlive it.
      const expiry = new AbortController();
      const expiring = setTimeout(() => expiry.abort(expired(info.startToCloseTimeoutMs)), info.startToCloseTimeoutMs);
      const signal = AbortSignal.any([context.cancellationSignal, expiry.signal]);
      try {
        return await runner.run(input, call, {
          signal,
          attempt: info.attempt,
          queueMs: Math.max(0, Date.now() - info.currentAttemptScheduledTimestampMs),
          run: info.workflowExecution?.workflowId ?? info.activityId,
          resumeFrom: progress,
          checkpoint(details) {
            progress = details;
            if (!info.isLocal) beat();
          },
        });
      } catch (error) {
        if (context.cancellationSignal.aborted) throw new CancelledFailure('the stage was cancelled');
        // Many a library throws an error of its own where the signal says why.
        throw asFailure(expiry.signal.aborted ? expiry.signal.reason : error, call);
      } finally {
        clearInterval(beating);
        clearTimeout(expiring);
      }
    },
  };
}

const expired = (ms: number) => new MillraceError('STAGE_TIMEOUT', `the attempt took longer than ${ms} ms`);

function asFailure(error: unknown, call: StageCall): ApplicationFailure {
  const known =
    error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error), {}, { cause: error });
  const { retryAfterMs } = known.details;
  return ApplicationFailure.create({
    type: known.code,
    message: known.message,
    nonRetryable: errorRow(known.code).retry === 'never',
    details: [{ ...known.details, stage: call.stage }],
    // 0 would end the backoff where the server only has no opinion.
    ...(retryAfterMs !== undefined && retryAfterMs > 0 && { nextRetryDelay: retryAfterMs }),
    ...(known.cause instanceof Error && { cause: known.cause }),
  });
}
