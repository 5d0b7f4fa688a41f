import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Pool, UseOptions } from '../../../../activities/pools/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { counts, fakePools } from './fakes.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A call that the pool has sent somewhere: it stays open until it is ended, or aborted. */
interface Sent {
  readonly url: string;
  readonly hedge: boolean;
  readonly signal: AbortSignal;
  answer(text: string): Promise<void>;
  fail(error: Error): Promise<void>;
}

/** Makes hedged calls of a pool and keeps what was sent. */
function caller(pool: Pool) {
  const sent: Sent[] = [];
  const call = (options: Partial<UseOptions> = {}) => {
    const result = pool.use(
      (_, { url, hedge = false }, signal) =>
        new Promise<string>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          const then = async (end: () => void) => {
            end();
            await setImmediate();
          };
          sent.push({
            url,
            hedge,
            signal,
            answer: (text) => then(() => resolve(text)),
            fail: (error) => then(() => reject(error)),
          });
        }),
      { signal: new AbortController().signal, hedge: { afterMs: 100 }, ...options },
    );
    result.catch(() => undefined);
    return result;
  };
  const nth = (i: number): Sent => {
    const found = sent[i];
    if (!found) throw new Error(`no call ${i}`);
    return found;
  };
  return { call, sent, nth };
}

const down = new MillraceError('BACKEND_UNAVAILABLE', 'down');

describe('a hedge', () => {
  it('makes no second call when the first answers in time', async () => {
    const { pool, metrics } = fakePools(['a', 'b']);
    const { call, sent, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(99);
    await nth(0).answer('first');
    expect(await result).toBe('first');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toHaveLength(1);
    expect(await counts(metrics.hedges)).toEqual({});
  });

  it('makes a second call elsewhere, and the first to answer ends the other', async () => {
    const { pool, metrics } = fakePools(['a', 'b']);
    const { call, sent, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(100);
    expect(sent.map(({ url, hedge }) => [url, hedge])).toEqual([
      ['a', false],
      ['b', true],
    ]);
    await nth(1).answer('second');
    expect(await result).toBe('second');
    expect(nth(0).signal.aborted).toBe(true);
    expect(nth(1).signal.aborted).toBe(false);
    expect(await counts(metrics.hedges)).toEqual({ 'm won': 1 });
    expect(await counts(metrics.backendCalls)).toEqual({ 'fake m b ok': 1, 'fake m a hedged': 1 });
    expect((await metrics.poolOutstanding.get()).values.map(({ value }) => value)).toEqual([0, 0]);
  });

  it('ends the second call when the first answers after all', async () => {
    const { pool, metrics } = fakePools(['a', 'b']);
    const { call, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(150);
    await nth(0).answer('first');
    expect(await result).toBe('first');
    expect(nth(1).signal.aborted).toBe(true);
    expect(await counts(metrics.hedges)).toEqual({ 'm lost': 1 });
    await setImmediate();
    expect(await counts(metrics.backendCalls)).toEqual({ 'fake m a ok': 1, 'fake m b aborted': 1 });
  });

  it('makes its second call of the same endpoint when there is no other', async () => {
    const { pool } = fakePools(['a']);
    const { call, sent, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(100);
    expect(sent.map(({ url }) => url)).toEqual(['a', 'a']);
    await nth(1).answer('second');
    expect(await result).toBe('second');
  });

  it.each([
    [0, 1],
    [1, 0],
  ])('waits for the other when call %i fails', async (failing, other) => {
    const { pool } = fakePools(['a', 'b']);
    const { call, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(100);
    await nth(failing).fail(down);
    expect(nth(other).signal.aborted).toBe(false);
    await nth(other).answer('the other');
    expect(await result).toBe('the other');
  });

  it('fails as its first call does when both fail', async () => {
    const { pool, metrics } = fakePools(['a', 'b']);
    const { call, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(100);
    await nth(1).fail(new MillraceError('BACKEND_ERROR', 'second'));
    await nth(0).fail(down);
    await expect(result).rejects.toMatchObject({ message: down.message, details: { endpoint: nth(0).url } });
    expect(await counts(metrics.hedges)).toEqual({ 'm failed': 1 });
  });

  it('leaves a call that fails in time to the stage’s retries', async () => {
    const { pool } = fakePools(['a', 'b']);
    const { call, sent, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(50);
    await nth(0).fail(down);
    await expect(result).rejects.toMatchObject({ message: down.message });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toHaveLength(1);
  });

  it('makes one more call at most', async () => {
    const { pool } = fakePools(['a', 'b', 'c']);
    const { call, sent } = caller(pool);
    void call();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(2);
  });

  it('ends both calls when its caller leaves, and blames no endpoint', async () => {
    const { pool } = fakePools(['a', 'b']);
    const { call, sent, nth } = caller(pool);
    const controller = new AbortController();
    const result = call({ signal: controller.signal });
    await vi.advanceTimersByTimeAsync(100);
    const reason = new Error('cancelled');
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect([nth(0).signal.reason, nth(1).signal.reason]).toEqual([reason, reason]);
    void call();
    void call();
    await setImmediate();
    expect(new Set(sent.slice(2).map(({ url }) => url))).toEqual(new Set(['a', 'b']));
  });

  it('takes no place that another call waits for', async () => {
    const { pool, metrics } = fakePools(['a'], { concurrency: 2 });
    const { call, sent } = caller(pool);
    for (let i = 0; i < 3; i++) void call();
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toHaveLength(2);
    expect(await counts(metrics.hedges)).toEqual({ 'm withheld': 2 });
  });

  it('stays within a tenth of the calls, after a burst of ten', async () => {
    const { pool, metrics } = fakePools(['a', 'b'], { concurrency: 1_000 });
    const { call, sent } = caller(pool);
    for (let i = 0; i < 100; i++) void call();
    await vi.advanceTimersByTimeAsync(100);
    expect(sent.filter(({ hedge }) => hedge)).toHaveLength(10);
    for (let i = 0; i < 200; i++) {
      void call();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(sent.filter(({ hedge }) => hedge)).toHaveLength(30);
    expect(await counts(metrics.hedges)).toEqual({ 'm withheld': 270 });
  });

  it('takes a token of the rate limit for its second call, and does without one when there is none', async () => {
    const { pool } = fakePools(['a', 'b'], { rateLimit: { perSecond: 0.01 } });
    const { call, sent, nth } = caller(pool);
    const result = call();
    await vi.advanceTimersByTimeAsync(500);
    expect(sent).toHaveLength(1);
    await nth(0).answer('first');
    expect(await result).toBe('first');
  });
});

describe('a hedge by percentile', () => {
  /** Calls one after another that take `ms` each. */
  async function warm(pool: Pool, times: number, ms: number) {
    const { call, nth } = caller(pool);
    for (let i = 0; i < times; i++) {
      const result = call({ hedge: undefined });
      await vi.advanceTimersByTimeAsync(ms);
      await nth(i).answer('done');
      await result;
    }
  }

  it('waits as long as that share of the recent calls took', async () => {
    const { pool } = fakePools(['a', 'b']);
    await warm(pool, 90, 20);
    await warm(pool, 10, 300);
    const { call, sent } = caller(pool);
    void call({ hedge: { percentile: 89 } });
    await vi.advanceTimersByTimeAsync(19);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(sent).toHaveLength(2);
    void call({ hedge: { percentile: 95 } });
    await vi.advanceTimersByTimeAsync(299);
    expect(sent).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(2);
    expect(sent).toHaveLength(4);
  });

  it('makes none while too few calls have succeeded to tell', async () => {
    const { pool } = fakePools(['a', 'b']);
    await warm(pool, 31, 20);
    const { call, sent } = caller(pool);
    void call({ hedge: { percentile: 50 } });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(1);
  });

  it('does not take its own second calls for what is usual', async () => {
    const { pool } = fakePools(['a', 'b']);
    await warm(pool, 64, 100);
    const { call, sent, nth } = caller(pool);
    // Every call is late and its hedge answers at once: that must not bring the next hedge forward.
    for (let i = 0; i < 60; i++) {
      const before = sent.length;
      const result = call({ hedge: { percentile: 50 } });
      await vi.advanceTimersByTimeAsync(99);
      expect(sent.length).toBe(before + 1);
      await vi.advanceTimersByTimeAsync(1);
      await (sent.length > before + 1 ? nth(before + 1) : nth(before)).answer('done');
      await result;
    }
  });
});
