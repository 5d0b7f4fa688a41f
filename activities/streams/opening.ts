import { REAL_CLOCK, type Timer } from '../../runtime/clock.js';
import type { Attempt } from '../stage/serving.js';
import { RESTS_AFTER_MS, resting } from './resting.js';

/** What of an attempt matters where its channels are opened. */
export type Opening = Pick<Attempt, 'signal' | 'again' | 'slot' | 'rest' | 'begunAt'>;

/**
 * Opens channels for an attempt. One that is not the first waits for a store that is away as long as its limits allow: readers may have
 * entries of an earlier one, in whose place it would make others. After a second it gives up its slot meanwhile. The first waits two
 * seconds; then it throws `STREAM_LOST`.
 */
export async function opened<T>(attempt: Opening, open: (patient: boolean) => Promise<T>): Promise<T> {
  if (!attempt.again) return await open(false);
  const opening = open(true);
  if (await endsWithin(RESTS_AFTER_MS, opening)) return await opening;
  return await resting(attempt, { clock: REAL_CLOCK, afterMs: 0 }, () => opening);
}

/** Whether some work ends within a time, in milliseconds. Rejects as it does. */
async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = REAL_CLOCK.timer(ms, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    timer?.clear();
  }
}
