import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseModels } from '../../../../activities/pools/models.js';
import { RateLimit } from '../../../../activities/pools/rate-limit.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { windowOf } from '../../../../stores/rates/index.js';
import { fakePools, openCall } from './fakes.js';

/** Codes of `count` calls made at once. */
const take = async (limit: RateLimit, count: number, tenant = 'acme') => {
  const results = await Promise.allSettled(Array.from({ length: count }, () => limit.take(tenant)));
  return results.map((result) =>
    result.status === 'fulfilled' ? 'ok' : result.reason instanceof MillraceError ? result.reason.code : result.reason,
  );
};
const passed = (codes: readonly string[]) => codes.filter((code) => code === 'ok').length;

describe('a rate', () => {
  it.each([
    [{ perSecond: 5 }, { points: 5, duration: 1 }],
    [
      { perSecond: 5, burst: 20 },
      { points: 20, duration: 4 },
    ],
    [
      { perSecond: 1, burst: 60 },
      { points: 60, duration: 60 },
    ],
    [{ perSecond: 0.5 }, { points: 1, duration: 2 }],
    [{ perSecond: 0.3 }, { points: 1, duration: 4 }],
    [
      { perSecond: 1.5, burst: 3 },
      { points: 3, duration: 2 },
    ],
    [
      { perSecond: 3, burst: 10 },
      { points: 9, duration: 3 },
    ],
    [
      { perSecond: 20, burst: 5 },
      { points: 5, duration: 1 },
    ],
  ])('of %j is %j', (rate, window) => {
    expect(windowOf(rate)).toEqual(window);
  });

  it('has no window that a timer cannot keep', () => {
    const { points, duration } = windowOf({ perSecond: 1 / 3_600, burst: 100_000 });
    expect(duration * 1_000).toBeLessThan(2 ** 31);
    expect(points / duration).toBeLessThanOrEqual(1 / 3_600);
  });

  it.each([0.1, 0.7, 1, 1.9, 2.5, 7, 33.3, 1_000])('of %d a second is never exceeded', (perSecond) => {
    for (const burst of [undefined, 1, 2, 10, 1_000]) {
      const { points, duration } = windowOf({ perSecond, ...(burst && { burst }) });
      expect(points / duration).toBeLessThanOrEqual(perSecond);
      expect(points).toBeGreaterThanOrEqual(1);
      expect(points).toBeLessThanOrEqual(burst ?? Math.max(1, perSecond));
    }
  });
});

describe('a rate limit in one process', () => {
  // Its windows take seconds, which a machine may stand still.
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('refuses what is above it, and says when to come back', async () => {
    const limit = new RateLimit('m', { perSecond: 1.5, burst: 3 });
    expect(passed(await take(limit, 5))).toBe(3);
    const refused = await limit.take('acme').catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'RATE_LIMITED', message: expect.stringContaining('all callers') });
    const { retryAfterMs = 0 } = (refused as MillraceError).details;
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(2_000);
    await vi.advanceTimersByTimeAsync(retryAfterMs + 20);
    expect(passed(await take(limit, 5))).toBe(3);
  });

  it('holds for each tenant', async () => {
    const limit = new RateLimit('m', { perSecond: 100, perTenant: { perSecond: 0.5, burst: 2 } });
    expect(passed(await take(limit, 4, 'acme'))).toBe(2);
    expect(passed(await take(limit, 4, 'umbrella'))).toBe(2);
    await expect(limit.take('acme')).rejects.toMatchObject({ message: expect.stringContaining('the tenant "acme"') });
  });

  it('does not count against a tenant what the pool refuses', async () => {
    const limit = new RateLimit('m', { perSecond: 0.5, perTenant: { perSecond: 0.1, burst: 3 } });
    expect(await take(limit, 1)).toEqual(['ok']);
    for (let i = 0; i < 5; i++) expect(await take(limit, 1)).toEqual(['RATE_LIMITED']);
    await vi.advanceTimersByTimeAsync(2_050);
    expect(await take(limit, 1)).toEqual(['ok']);
  });
});

describe('a pool with a rate limit', () => {
  const signal = new AbortController().signal;

  it('refuses a call that has its place, and takes the place back', async () => {
    const { pool, backend } = fakePools(['a'], { concurrency: 1, rateLimit: { perSecond: 0.01 } });
    await pool.use(async () => undefined, { signal });
    for (let i = 0; i < 2; i++) {
      await expect(pool.use(async () => undefined, { signal, queueMs: 50 })).rejects.toMatchObject({
        code: 'RATE_LIMITED',
      });
    }
    expect(backend('a').log).toEqual([]);
  });

  it('takes no token for a call that gets no place', async () => {
    const { pool } = fakePools(['a'], { concurrency: 1, rateLimit: { perSecond: 0.2, burst: 2 } });
    const open = openCall();
    const running = pool.use(open.work, { signal });
    for (let i = 0; i < 3; i++) {
      await expect(pool.use(async () => undefined, { signal, queueMs: 5 })).rejects.toMatchObject({
        code: 'QUEUE_TIMEOUT',
      });
    }
    open.end();
    await running;
    expect(await pool.use(async () => 'served', { signal })).toBe('served');
  });
});

describe('rateLimit in the models file', () => {
  const models = (rateLimit: unknown) => ({
    m: { connector: 'c', model: 'm', kind: 'chat', endpoints: [{ url: 'u', device: 'd' }], rateLimit },
  });

  it('is taken as it stands', () => {
    const limit = { perSecond: 10, burst: 30, perTenant: { perSecond: 0.5 } };
    expect(parseModels(models(limit), 'test').m?.rateLimit).toEqual(limit);
  });

  it.each([
    ['no rate', {}, 'm.rateLimit.perSecond'],
    ['no calls at all', { perSecond: 0 }, 'm.rateLimit.perSecond'],
    ['half a call at once', { perSecond: 1, burst: 0.5 }, 'm.rateLimit.burst'],
    ['a misspelt field', { perSecond: 1, tenant: {} }, 'm.rateLimit'],
    ['a limit of tenants without a rate', { perSecond: 1, perTenant: { burst: 1 } }, 'm.rateLimit.perTenant.perSecond'],
  ])('with %s is INVALID_SETTING', (_, limit, field) => {
    expect(() => parseModels(models(limit), 'test')).toThrow(
      expect.objectContaining({ code: 'INVALID_SETTING', details: { fields: [expect.objectContaining({ field })] } }),
    );
  });
});
