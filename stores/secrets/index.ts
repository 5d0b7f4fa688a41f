import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';

/**
 * A secret shared by all processes of a Redis and created by the first that needs it. While Redis is unreachable a
 * process uses a secret of its own; data sealed with a lost secret is rejected later, so use it only for data that can
 * be requested again.
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
