import pMap from 'p-map';
import { linkedAbort } from '../../runtime/limited.js';

/**
 * Runs `work` for every item, at most `limit` at once, and returns the results in order. Throws the first failure;
 * after it no further item is begun, and the signal of those in progress aborts.
 */
export async function bounded<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const { own, release } = linkedAbort(signal);
  try {
    return await pMap(items, (item) => work(item, own.signal), { concurrency: limit, signal: own.signal });
  } catch (error) {
    own.abort(error);
    throw error;
  } finally {
    release();
  }
}
