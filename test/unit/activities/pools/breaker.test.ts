import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Pool } from '../../../../activities/pools/index.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import { fakePools, openCall, settle } from './fakes.js';

const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Endpoints of calls made until one was sent to `a`, which failed it; the others succeed. */
async function failA(pool: Pool, code: ErrorCode = 'BACKEND_UNAVAILABLE') {
  for (let sent = ''; sent !== 'a'; ) {
    await pool
      .use(
        async (_, { url }) => {
          sent = url;
          if (url === 'a') throw new MillraceError(code, 'down');
        },
        { signal },
      )
      .catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1);
  }
}

/** Calls that stay open, by the endpoint that each was sent to. */
async function open(pool: Pool, count: number, own = new AbortController().signal) {
  const calls: { url: string; end: (error?: MillraceError) => void }[] = [];
  for (let i = 0; i < count; i++) {
    const call = openCall();
    pool
      .use(
        async (_, { url }) => {
          calls.push({ url, end: call.end });
          own.addEventListener('abort', () => call.end(new MillraceError('INTERNAL', 'aborted')));
          await call.work();
        },
        { signal: own },
      )
      .catch(() => undefined);
    await settle();
  }
  return calls;
}
const urls = (calls: readonly { url: string }[]) => calls.map(({ url }) => url);

describe('an endpoint that failed', () => {
  it('gets one call, and no more until that has succeeded', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    await failA(pool);
    expect(urls(await open(pool, 2))).toEqual(['b', 'b']);
    await vi.advanceTimersByTimeAsync(1_000);
    const calls = await open(pool, 4);
    expect(urls(calls)).toEqual(['a', 'b', 'b', 'b']);
    calls[0]?.end();
    await settle();
    expect(urls(await open(pool, 3))).toEqual(['a', 'a', 'a']);
  });

  it('is left alone twice as long when that call fails', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    await failA(pool);
    await open(pool, 1); // so that a has the fewest in flight
    await vi.advanceTimersByTimeAsync(1_000);
    const [probe] = await open(pool, 1);
    expect(probe?.url).toBe('a');
    probe?.end(new MillraceError('BACKEND_TIMEOUT', 'still down'));
    await settle();
    await vi.advanceTimersByTimeAsync(1_900);
    expect(urls(await open(pool, 2))).toEqual(['b', 'b']);
    await vi.advanceTimersByTimeAsync(200);
    expect(urls(await open(pool, 1))).toEqual(['a']);
  });

  it('is tried by the next call when the first leaves without a verdict', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    await failA(pool);
    await open(pool, 2);
    await vi.advanceTimersByTimeAsync(1_000);
    const caller = new AbortController();
    expect(urls(await open(pool, 1, caller.signal))).toEqual(['a']);
    expect(urls(await open(pool, 1))).toEqual(['b']);
    caller.abort(new Error('cancelled'));
    await settle();
    expect(urls(await open(pool, 2))).toEqual(['a', 'b']);
  });

  it('serves those who wait as soon as its probe has succeeded', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 2, canaryIntervalMs: 600_000 });
    await failA(pool);
    await open(pool, 2); // b is full
    await vi.advanceTimersByTimeAsync(1_000);
    const [probe] = await open(pool, 1);
    const waiting = open(pool, 2);
    expect(urls(await waiting)).toEqual([]);
    probe?.end();
    await settle();
    expect(urls(await waiting)).toEqual(['a', 'a']);
  });

  it('gets every call when it is the only one: the stage’s own retries decide', async () => {
    const { pool } = fakePools(['a'], { canaryIntervalMs: 600_000 });
    await failA(pool, 'BACKEND_TIMEOUT');
    expect(urls(await open(pool, 3))).toEqual(['a', 'a', 'a']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(urls(await open(pool, 3))).toEqual(['a', 'a', 'a']);
  });

  it('gets calls when all the others have failed too', async () => {
    const { pool, backend } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    for (const url of ['a', 'b']) backend(url).failing = 'BACKEND_TIMEOUT';
    for (let i = 0; i < 2; i++) {
      await pool.use((to) => (to as ReturnType<typeof backend>).invoke(), { signal }).catch(() => undefined);
    }
    expect(new Set(urls(await open(pool, 4)))).toEqual(new Set(['a', 'b']));
  });

  it.each<ErrorCode>(['FIRST_CHUNK_TIMEOUT', 'IDLE_TIMEOUT', 'STAGE_TIMEOUT', 'MODEL_NOT_FOUND', 'BACKEND_TIMEOUT'])(
    'is left alone after %s',
    async (code) => {
      const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
      await failA(pool, code);
      expect(urls(await open(pool, 2))).toEqual(['b', 'b']);
    },
  );

  it.each<ErrorCode>(['BACKEND_REJECTED', 'BACKEND_ERROR', 'INVALID_OUTPUT', 'RATE_LIMITED'])(
    'is used as before after %s',
    async (code) => {
      const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
      await failA(pool, code);
      expect(urls(await open(pool, 2))).toEqual(expect.arrayContaining(['a', 'b']));
    },
  );

  it('that was only full gets calls without a probe once it has room', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    await failA(pool, 'BACKEND_OVERLOADED');
    expect(urls(await open(pool, 2))).toEqual(['b', 'b']);
    await vi.advanceTimersByTimeAsync(250);
    expect(urls(await open(pool, 2))).toEqual(['a', 'a']);
  });
});
