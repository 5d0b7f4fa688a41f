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
  /** Absent: the attempt sends heartbeats itself. */
  readonly beatEveryMs?: number;
  /** What is left of the attempt, in milliseconds. Absent: all of it. */
  readonly leftMs?: number;
  /** Aborts when the attempt ends. Absent: when it is cancelled. */
  readonly signal?: AbortSignal;
}

/** Since when an attempt before this one may have recorded an outcome that nobody knows of, in milliseconds since 1970; undefined: none has. */
export const unreportedSince = (
  { since }: Pick<StageCall, 'since'>,
  { attempt, scheduledTimestampMs }: Pick<Context['info'], 'attempt' | 'scheduledTimestampMs'>,
  note: LossNote | undefined,
): number | undefined =>
  note?.ended === attempt - 1 ? undefined : (since ?? (attempt === 1 ? undefined : scheduledTimestampMs));

/**
 * What an attempt before this one has recorded and could not report: its worker was lost at that moment, or Temporal was away. It may have been
 * made on another queue. Undefined if there is none, or if the store does not say so: a call that has effects, or has no attempt left, waits for
 * it. Not looked for where the input has entries of channels: an attempt asks with the whole input once it has read them. Throws
 * `RECORD_GONE` if the outcome of a call with effects is recorded and cannot be read, since the call has ended, and the reason of the signal
 * if that aborts before it is known.
 */
export async function unreported(
  runner: Partial<Pick<StageRunner, 'earlier'>>,
  context: Pick<Context, 'info' | 'heartbeat' | 'cancellationSignal'>,
  { call, input, run, note, isSpent, beatEveryMs, ...own }: Asked,
): Promise<StageOutcome | undefined> {
  const { info } = context;
  const { leftMs = info.startToCloseTimeoutMs, signal = context.cancellationSignal } = own;
  const since = unreportedSince(call, info, note);
  if (call.held || since === undefined) return undefined;
  const hasEffects = changesElsewhere(call);
  let ended: MillraceError | undefined;
  // A store that is slow must not count as the loss of this worker.
  const beat = () => context.heartbeat(info.heartbeatDetails);
  const beating = beatEveryMs === undefined ? undefined : setInterval(beat, beatEveryMs);
  try {
    const ask = async (withinMs: number) => await runner.earlier?.(input, call, run, since, undefined, withinMs);
    const outcome = await askedAgain(ask, {
      leftMs,
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
