import type { Context } from '@temporalio/activity';
import type { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { LossNote, StageCall, StageOutcome } from '../../pipelines/run/index.js';
import { changesElsewhere } from '../../pipelines/stages/index.js';
import { askedAgain, goneFor, isRecorded } from './asked-again.js';
import type { StageRunner } from './stage-runner.js';

interface Asked {
  readonly call: StageCall;
  readonly input: JsonObject;
  /** The run's id. */
  readonly run: string;
  /** Of the attempt before. */
  readonly note: LossNote | undefined;
  /** No attempt is left: without an outcome the call fails. */
  readonly isSpent: boolean;
  readonly beatEveryMs: number;
}

/**
 * What an attempt before this one has recorded and could not report: its worker was lost at that moment, or Temporal was away. It may have been
 * made on another queue. Undefined if there is none, or if the store does not say so: a call that has effects, or has no attempt left, waits for
 * it. Not looked for where the call has entries of channels, which may take longer to read than Temporal waits for a heartbeat. Throws
 * `RECORD_GONE` if the outcome of a call with effects is recorded and cannot be read, since the call has ended, and the reason of the cancellation
 * if the attempt is cancelled before it is known.
 */
export async function unreported(
  runner: Partial<Pick<StageRunner, 'earlier'>>,
  context: Pick<Context, 'info' | 'heartbeat' | 'cancellationSignal'>,
  { call, input, run, note, isSpent, beatEveryMs }: Asked,
): Promise<StageOutcome | undefined> {
  const { info, cancellationSignal: signal } = context;
  const since = call.since ?? (info.attempt === 1 ? undefined : info.scheduledTimestampMs);
  if (call.held || since === undefined || note?.ended === info.attempt - 1) return undefined;
  const hasEffects = changesElsewhere(call);
  let ended: MillraceError | undefined;
  // A store that is slow must not count as the loss of this worker.
  const beating = setInterval(() => context.heartbeat(info.heartbeatDetails), beatEveryMs);
  try {
    const ask = async (withinMs: number) => await runner.earlier?.(input, call, run, since, undefined, withinMs);
    const outcome = await askedAgain(ask, {
      leftMs: info.startToCloseTimeoutMs,
      signal,
      again(error) {
        if (isRecorded(error)) ended = error;
        return isSpent || hasEffects;
      },
    });
    if (outcome) return outcome;
  } catch (error) {
    // As where its worker shuts down: the next attempt goes on asking.
    signal.throwIfAborted();
    if (isRecorded(error)) ended = error;
  } finally {
    clearInterval(beating);
  }
  // Also if the store has lost its data since it said so.
  if (hasEffects && ended) throw goneFor(ended);
  return undefined;
}
