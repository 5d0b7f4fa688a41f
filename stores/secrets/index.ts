import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';

/**
 * A secret that all processes of a Redis share: the first that needs it makes it. While Redis does not answer, a process has one
 * of its own; what was sealed with a secret that is gone is refused, so it seals only what can be asked for again.
 */
export function sharedSecret(redis: Redis, key: string): () => Promise<Buffer> {
  const own = randomBytes(32).toString('base64');
  return async () => {
    try {
      let shared = await redis.get(key);
      if (shared === null) {
        await redis.set(key, own, 'NX');
        shared = await redis.get(key);
      }
      return Buffer.from(shared ?? own, 'base64');
    } catch {
      return Buffer.from(own, 'base64');
    }
  };
}
