import { MillraceError } from '../../pipelines/errors.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';

/** Limits on a model call's silence, in milliseconds. */
export interface ChunkLimits {
  /** From the call's start to its first useful chunk; for a server that does not stream, to its answer. */
  readonly firstChunkMs?: number | undefined;
  /** Between two chunks, and from the last one to the end. */
  readonly idleMs?: number | undefined;
  /** Empty chunks may be the only ones: a reply of tool calls has no text, and a generated file has progress alone. */
  readonly emptyCounts?: boolean | undefined;
}

/** Called with each text delta and number of audio samples that arrives. */
type Emit = (chunk: string | number) => void;

/**
 * Makes a model call and aborts it if it is silent for too long; `FIRST_CHUNK_TIMEOUT` or `IDLE_TIMEOUT` is thrown when
 * it has ended.
 *
 * An empty chunk (reasoning, a tool call's arguments, white space, a window of silence) is only a sign of life: it does not end the
 * wait for the first useful chunk, unless `emptyCounts`, but resets the idle timeout afterwards.
 */
export async function watched<T>(
  { firstChunkMs, idleMs, emptyCounts = false }: ChunkLimits,
  signal: AbortSignal,
  call: (signal: AbortSignal, emit: Emit) => Promise<T>,
  clock: Clock = REAL_CLOCK,
): Promise<T> {
  if (firstChunkMs === undefined && idleMs === undefined) return call(signal, () => undefined);
  const { own, release } = linkedAbort(signal);
  const giveUp = (silence: MillraceError) => own.abort(silence);
  let timer = firstChunkMs === undefined ? undefined : clock.timer(firstChunkMs, () => giveUp(noChunk(firstChunkMs)));
  let idling = false;
  const emit: Emit = (chunk) => {
    if (own.signal.aborted) return;
    // A model sends thousands of deltas: one timer is moved instead of creating one for each.
    if (idling) return timer?.refresh();
    if (!emptyCounts && (chunk === 0 || (typeof chunk === 'string' && chunk.trim() === ''))) return;
    idling = true;
    timer?.clear();
    timer = idleMs === undefined ? undefined : clock.timer(idleMs, () => giveUp(fellSilent(idleMs)));
  };
  try {
    return await call(own.signal, emit);
  } catch (error) {
    // Many libraries throw an error of their own instead of the signal's reason.
    throw own.signal.aborted && !signal.aborted ? own.signal.reason : error;
  } finally {
    timer?.clear();
    release();
  }
}

const noChunk = (ms: number) => new MillraceError('FIRST_CHUNK_TIMEOUT', `no part of an answer within ${ms} ms`);
const fellSilent = (ms: number) =>
  new MillraceError('IDLE_TIMEOUT', `the answer stalled: nothing received for ${ms} ms`);
