import type { Clock } from '../../runtime/clock.js';
import type { Attempt } from '../stage/serving.js';

/** A wait for a stream counts as a rest after so long, in milliseconds: each rest is told to the run's store, twice. */
export const RESTS_AFTER_MS = 1_000;

/**
 * Waits while nothing of an attempt is sent: without its slot, and from `afterMs` on such that the loss of its worker does not count. Throws
 * what the wait throws, and if another worker may have begun what follows.
 */
export async function resting<T>(
  { slot, signal, rest }: Pick<Attempt, 'slot' | 'signal' | 'rest'>,
  { clock, afterMs }: { readonly clock: Clock; readonly afterMs: number },
  waiting: () => Promise<T>,
): Promise<T> {
  let goOn: (() => Promise<void>) | undefined;
  const begin = () => {
    goOn = rest?.();
  };
  const timer = afterMs > 0 ? clock.timer(afterMs, begin) : undefined;
  if (!timer) begin();
  slot?.leave();
  try {
    return await waiting();
  } finally {
    timer?.clear();
    await slot?.take(signal);
    await goOn?.();
  }
}
