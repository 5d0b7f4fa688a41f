import { follower } from '../../runtime/limited.js';

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
  const { own, release } = follower(signal);
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      own.signal.throwIfAborted();
      const i = next++;
      results[i] = await work(items[i] as T, own.signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
    return results;
  } catch (error) {
    own.abort(error);
    throw error;
  } finally {
    release();
  }
}
