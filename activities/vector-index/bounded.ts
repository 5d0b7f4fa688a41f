import pMap from 'p-map';
import { linkedAbort } from '../../runtime/limited.js';

/**
 * `work` of every item, at most `limit` at once, results in order. The first failure is thrown; no further item is begun
 * then, and those begun see their signal abort.
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
