import type { Redis } from 'ioredis';
import type { Json } from '../../pipelines/json.js';

/** Field of a segment's outcome, which is too large for its workflow task. Who takes the journal over ignores it. */
export const OUTCOME = '@outcome';

/** The outcome that a segment has left in its journal; undefined if the store has none. Rejects while the store is away. */
export async function keptOutcome(redis: Redis, key: string): Promise<Json | undefined> {
  const text = await redis.hget(key, OUTCOME);
  return text === null ? undefined : (JSON.parse(text) as Json);
}
