import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RateLimit, type RateLimitConfig } from '../../activities/pools/rate-limit.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { recordingLogger } from '../support/caches.js';
import { caught } from '../support/caught.js';
import { freePort } from '../support/free-port.js';
import { address } from '../support/runs.js';

const TIMEOUT_MS = 30_000;
const open = (url: string) => createRedis({ url, timeoutMs: TIMEOUT_MS, logger: recordingLogger().logger });
/** How many of `count` calls at once are let through, each tried at one of the limits in turn. */
async function passed(limits: readonly RateLimit[], count: number, tenant = 'acme'): Promise<number> {
  const tries = Array.from({ length: count }, (_, i) => limits[i % limits.length]?.take(tenant));
  return (await Promise.allSettled(tries)).filter(({ status }) => status === 'fulfilled').length;
}

describe('rate limits of several workers on real Redis', () => {
  const connections: Redis[] = [];
  const workers = (config: RateLimitConfig, name = `test-${randomUUID()}`) =>
    connections.map((redis) => new RateLimit(name, config, redis));

  beforeAll(async () => {
    connections.push(open(address('REDIS_URL')), open(address('REDIS_URL')));
    expect(await Promise.all(connections.map((redis) => connected(redis, 30_000)))).toEqual([true, true]);
  });
  afterAll(() => {
    for (const connection of connections) connection.disconnect();
  });

  it('are one limit', async () => {
    const limits = workers({ perSecond: 0.1, burst: 10 });
    expect(await passed(limits, 40)).toBe(10);
    await expect(limits[1]?.take('acme')).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      details: { retryAfterMs: expect.any(Number) },
    });
  });

  it('are one limit for each tenant', async () => {
    const limits = workers({ perSecond: 100, perTenant: { perSecond: 0.05, burst: 5 } });
    expect(await passed(limits, 20, 'acme')).toBe(5);
    expect(await passed(limits, 20, 'umbrella')).toBe(5);
  });

  it('give tokens again when the time that they name is over', async () => {
    const WINDOW_MS = 2_000;
    const { limits, details } = await caught('a window', async () => {
      const limits = workers({ perSecond: 1, burst: 2 });
      const began = performance.now();
      expect(await passed(limits, 10)).toBe(2);
      const refused = await (limits[0] as RateLimit).take('acme').then(
        () => undefined,
        (error: { details: { retryAfterMs: number } }) => error,
      );
      if (refused) return { limits, ...refused };
      expect(performance.now() - began, 'let through in the same window').toBeGreaterThan(WINDOW_MS - 50);
      return undefined;
    });
    expect(details.retryAfterMs).toBeGreaterThan(0);
    expect(details.retryAfterMs).toBeLessThanOrEqual(WINDOW_MS);
    await new Promise((resolve) => setTimeout(resolve, details.retryAfterMs + 50));
    expect(await passed(limits, 10)).toBe(2);
  });

  it('leave nothing behind in Redis', async () => {
    const name = `test-${randomUUID()}`;
    await passed(workers({ perSecond: 0.01, perTenant: { perSecond: 0.01 } }, name), 4);
    const redis = connections[0] as Redis;
    const keys = await redis.keys(`millrace:rate:${name}:*`);
    expect(keys.toSorted()).toEqual([`millrace:rate:${name}:pool:all`, `millrace:rate:${name}:tenant:acme`]);
    for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0);
  });
});

describe('a rate limit without Redis', () => {
  it('holds in each worker', async () => {
    const redis = open(`redis://127.0.0.1:${await freePort()}`);
    try {
      const limits = [0, 1].map(() => new RateLimit(`test-${randomUUID()}`, { perSecond: 0.05, burst: 5 }, redis));
      const started = performance.now();
      const each = [await passed(limits.slice(0, 1), 20), await passed(limits.slice(1), 20)];
      const ms = performance.now() - started;
      expect(each).toEqual([5, 5]);
      expect(ms, 'none waits for Redis').toBeLessThan(TIMEOUT_MS / 2);
    } finally {
      redis.disconnect();
    }
  });
});
