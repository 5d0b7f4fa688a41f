import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { cacheKeysOf, VectorSets } from '../../stores/redis/index.js';
import type { Budget } from './budget.js';

/** Keys that one command looks at: some tenths of a millisecond of Redis' time. */
const LOOKED_AT = 1_000;
/** Vectors that one request removes from a set: some milliseconds. To remove a large set at once would stop Redis meanwhile. */
const VECTORS_AT_ONCE = 32;

/**
 * Removes what the caches hold of a tenant: answers, embeddings, vectors and the ledger of them, some at a time. Returns the number of
 * answers and embeddings. A call that is under way stores its answer afterwards. What is removed before an error stays removed, and repeating
 * the call completes it; without that, vectors that are left may stay although their answers end. Throws the signal's reason, and
 * `STORE_UNAVAILABLE`.
 */
export async function clearCache(
  redis: Redis,
  budget: Pick<Budget, 'forget'>,
  tenant: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  try {
    // First: what is stored from now on is counted anew. The ledger removes it when it has expired, with a vector that is added after its
    // set has been emptied.
    await budget.forget(tenant);
    return await remove(redis, tenant, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MillraceError) throw error;
    const message = `the Redis of the caches failed before all was removed: ${messageOf(error)}; clear them again`;
    throw new MillraceError('STORE_UNAVAILABLE', message, {}, { cause: error });
  }
}

async function remove(redis: Redis, tenant: string, signal: AbortSignal): Promise<number> {
  const vectors = new VectorSets(redis);
  let removed = 0;
  let cursor = '0';
  do {
    signal.throwIfAborted();
    const [next, found] = await redis.scan(cursor, 'MATCH', cacheKeysOf(tenant), 'COUNT', LOOKED_AT);
    cursor = next;
    // A lease holds nothing, and another worker would make its call again.
    const keys = found.filter((key) => !key.includes('}:lease:'));
    for (const key of keys) if (key.endsWith('}:vectors')) await empty(vectors, key, signal);
    removed += await unlink(redis, keys);
  } while (cursor !== '0');
  return removed;
}

/** Removes as many vectors as a set has now: others may be added meanwhile. */
async function empty(vectors: VectorSets, set: string, signal: AbortSignal): Promise<void> {
  for (let left = await vectors.size(set); left > 0; left -= VECTORS_AT_ONCE) {
    signal.throwIfAborted();
    await vectors.remove(set, await vectors.sample(set, VECTORS_AT_ONCE));
  }
}

/** Removes keys, which may be in several slots of a cluster; returns how many answers and embeddings were among them. */
async function unlink(redis: Redis, keys: readonly string[]): Promise<number> {
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.unlink(key);
  const results = (await pipeline.exec()) ?? [];
  for (const [error] of results) if (error) throw error;
  return keys.filter((key, i) => results[i]?.[1] === 1 && /\}:(entry|vector):/.test(key)).length;
}
