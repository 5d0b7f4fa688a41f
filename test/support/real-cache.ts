import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect } from 'vitest';
import { connected, createRedis } from '../../stores/redis/index.js';
import { openCache, recordingLogger, type TestCache } from './caches.js';
import { openEmbedder } from './embedder.js';
import { address } from './runs.js';

/** The caches of a host on the tests' Redis and MiniLM, for the tests of a file. */
export function realCache() {
  const at = {
    redis: undefined as unknown as Redis,
    embedder: undefined as unknown as ReturnType<typeof openEmbedder>,
    test: undefined as unknown as TestCache,
  };
  beforeAll(async () => {
    const { logger } = recordingLogger();
    at.redis = createRedis({ url: address('REDIS_CACHE_URL'), timeoutMs: 10_000, logger });
    expect(await connected(at.redis, 30_000)).toBe(true);
    at.embedder = openEmbedder();
    at.test = openCache(at.redis, at.embedder);
  });
  afterAll(() => {
    at.redis.disconnect();
    at.embedder.close();
  });
  return at;
}
