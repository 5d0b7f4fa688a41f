import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';
import { untilAborted } from '../../runtime/limited.js';

/**
 * How long a store that cannot be reached is asked again about a call that must not be repeated, in milliseconds: one that fails over is back
 * by then. At most the share of the attempt's time: the rest is for the call. The last answer has some time too.
 */
export const ASKED = { mostMs: 30_000, share: 0.5, everyMs: 500, leastMs: 100 };

interface Asking {
  /** What is left of the attempt, in milliseconds. */
  readonly leftMs: number;
  readonly signal: AbortSignal;
  /** Whether it is asked again after this failure. */
  again(error: unknown): boolean;
}

/**
 * Asks a store about a call until it answers or the time for that is over, and throws its last failure then; the signal's reason as soon as that aborts.
 * @param ask gets its time, in milliseconds
 */
export async function askedAgain<T>(
  ask: (withinMs: number) => Promise<T>,
  { leftMs, signal, again }: Asking,
): Promise<T> {
  const until = performance.now() + Math.min(ASKED.mostMs, leftMs * ASKED.share);
  const restMs = () => until - performance.now();
  for (;;) {
    try {
      return await untilAborted(signal, () => ask(Math.max(1, restMs())));
    } catch (error) {
      // What is gone does not come back.
      const isGone = isRecorded(error) && error.code === 'RECORD_GONE';
      if (isGone || !again(error) || signal.aborted || restMs() < ASKED.everyMs + ASKED.leastMs) throw error;
    }
    await sleep(ASKED.everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Whether it says that a call has ended whose outcome cannot be read. */
export const isRecorded = (error: unknown): error is MillraceError =>
  error instanceof MillraceError && error.details.recorded === true;

/** What a call fails with that has ended, and whose outcome could not be read for as long as it was asked for: no candidate may follow. */
export const goneFor = ({ message, details }: MillraceError): MillraceError =>
  new MillraceError('RECORD_GONE', message, details);
