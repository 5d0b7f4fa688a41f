import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { reachedFor } from '../redis/index.js';

/**
 * A secret shared by all processes of a Redis and created by the first that needs it. While Redis is unreachable a
 * process uses a secret of its own; data sealed with a lost secret is rejected later, so use it only for data that can
 * be requested again.
 */
export function sharedSecret(redis: Redis, key: string): () => Promise<Buffer> {
  const own = ownSecret();
  return async () => {
    try {
      return await secretIn(redis, key, own);
    } catch {
      return decoded(own);
    }
  };
}

/**
 * The same for data that clients keep and send back: no other secret is ever used in its place. Throws `STORE_UNAVAILABLE` and
 * `STATE_STORE_FULL` while Redis does not have it.
 */
export function keptSecret(redis: Redis, key: string): () => Promise<Buffer> {
  const own = ownSecret();
  return () => reachedFor('secrets', () => secretIn(redis, key, own));
}

async function secretIn(redis: Redis, key: string, own: string): Promise<Buffer> {
  let shared = await redis.get(key);
  if (shared === null) {
    await redis.set(key, own, 'NX');
    shared = await redis.get(key);
  }
  if (shared === null) throw new Error(`${key} is gone`);
  return decoded(shared);
}

const ownSecret = (): string => randomBytes(32).toString('base64');
const decoded = (secret: string): Buffer => Buffer.from(secret, 'base64');
