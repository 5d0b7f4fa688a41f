import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import { counts, fakePools } from './fakes.js';

const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Callers that call without a pause for `seconds`; gives each endpoint's calls of the second half. */
async function load(urls: string[], failing: ReadonlySet<string>, code: ErrorCode, callers: number, seconds: number) {
  const made = fakePools(urls, { canaryIntervalMs: 600_000 });
  const calls = new Map<string, number>(urls.map((url) => [url, 0]));
  const half = performance.now() + (seconds * 1_000) / 2;
  const end = performance.now() + seconds * 1_000;
  const caller = async () => {
    while (performance.now() < end) {
      await made.pool
        .use(
          async (_, { url }) => {
            if (performance.now() >= half) calls.set(url, (calls.get(url) ?? 0) + 1);
            if (failing.has(url)) {
              await wait(2);
              throw new MillraceError(code, 'fails at once');
            }
            await wait(100);
          },
          { signal },
        )
        .catch(() => undefined);
    }
  };
  const all = Promise.all(Array.from({ length: callers }, caller));
  for (let ms = 0; ms < seconds * 1_000; ms += 500) await vi.advanceTimersByTimeAsync(500);
  await vi.advanceTimersByTimeAsync(500);
  await all;
  return { ...made, calls };
}

const CODES: ErrorCode[] = ['BACKEND_ERROR', 'BACKEND_BROKEN', 'INVALID_OUTPUT', 'BACKEND_UNAUTHORIZED'];
const SUBSETS = [
  ['a,b', 'a'],
  ['a,b,c', 'a'],
  ['a,b,c', 'a,b'],
  ['a,b,c,d', 'b,c,d'],
] as const;

describe('endpoints that fail at once', () => {
  it.each(SUBSETS.flatMap(([all, bad]) => CODES.map((code) => [bad, all, code] as const)))(
    '%s of %s with %s get less than a twentieth of the calls',
    { timeout: 120_000 },
    async (bad, all, code) => {
      const failing = new Set(bad.split(','));
      const { calls } = await load(all.split(','), failing, code, 4, 60);
      const total = [...calls.values()].reduce((sum, count) => sum + count, 0);
      const theirs = [...calls].reduce((sum, [url, count]) => sum + (failing.has(url) ? count : 0), 0);
      expect(total).toBeGreaterThan(100);
      expect(theirs / total).toBeLessThan(0.05);
    },
  );

  it('stay where all fail alike: the fault is the model’s', { timeout: 120_000 }, async () => {
    const { metrics, calls } = await load(['a', 'b'], new Set(['a', 'b']), 'BACKEND_ERROR', 2, 10);
    expect(await counts(metrics.ejections)).toEqual({});
    expect(Math.min(...calls.values())).toBeGreaterThan(100);
  });

  it('are no outliers where callers ask what no server accepts', { timeout: 120_000 }, async () => {
    const { metrics } = await load(['a', 'b'], new Set(['a']), 'BACKEND_REJECTED', 2, 10);
    expect(await counts(metrics.ejections)).toEqual({});
  });
});

it('a retry goes to another endpoint than the one that has just failed', async () => {
  const { pool } = fakePools(['a', 'b']);
  const urls: string[] = [];
  for (let i = 0; i < 6; i++) await pool.use(async (_, { url }) => void urls.push(url), { signal, avoid: 'a' });
  expect(urls).toEqual(Array(6).fill('b'));
  const { pool: single } = fakePools(['a']);
  await expect(single.use(async (_, { url }) => url, { signal, avoid: 'a' })).resolves.toBe('a');
});

it('a refused credential is tried at an endpoint that may accept it, and nowhere when all refuse', async () => {
  const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
  const ask = (bad: string) =>
    pool
      .use(
        async (_, { url }) => {
          if (bad.includes(url)) throw new MillraceError('BACKEND_UNAUTHORIZED', 'wrong key');
        },
        { signal },
      )
      .catch((error: MillraceError) => error);
  const [first] = [await ask('ab')];
  expect(first).toMatchObject({ code: 'BACKEND_UNAUTHORIZED', details: { elsewhere: true } });
  expect(await ask('ab')).toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
  const last = await ask('ab');
  expect((last as MillraceError).details.elsewhere).toBeUndefined();
});

it('an endpoint that returns gets a small share of the calls at first, and all of it after ten seconds', {
  timeout: 60_000,
}, async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5); // no jitter: it is out for five seconds
  const { pool, metrics } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000, concurrency: 100 });
  for (let i = 0; i < 20; i++) await pool.use(async () => undefined, { signal, avoid: 'a' });
  const fails = async () => {
    throw new MillraceError('BACKEND_ERROR', 'fails at once');
  };
  for (let i = 0; i < 3; i++) await pool.use(fails, { signal, avoid: 'b' }).catch(() => undefined);
  expect(await counts(metrics.ejections)).toEqual({ 'm a': 1 });
  await vi.advanceTimersByTimeAsync(5_000);

  const back = performance.now();
  const seconds = 12;
  const calls = Array.from({ length: seconds }, () => ({ a: 0, b: 0 }));
  const caller = async () => {
    while (performance.now() < back + seconds * 1_000) {
      const second = calls[Math.floor((performance.now() - back) / 1_000)] ?? { a: 0, b: 0 };
      await pool.use(
        async (_, { url }) => {
          second[url as 'a' | 'b'] += 1;
          await wait(100);
        },
        { signal },
      );
    }
  };
  const all = Promise.all(Array.from({ length: 40 }, caller));
  await vi.advanceTimersByTimeAsync(seconds * 1_000 + 100);
  await all;
  const shares = calls.map(({ a, b }) => a / (a + b));
  expect(shares[0]).toBeGreaterThan(0);
  expect(shares[0]).toBeLessThan(0.15);
  expect(shares[4]).toBeGreaterThan(shares[0] as number);
  expect(shares[4]).toBeLessThan(0.45);
  expect(shares.at(-1)).toBeCloseTo(0.5, 1);
});
