import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Pace } from '../../../../activities/pools/pace.js';
import { isAway, MillraceError } from '../../../../pipelines/errors.js';
import { fakePools, openCall } from './fakes.js';

const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Made = ReturnType<typeof fakePools>;
const call = ({ pool, backend }: Made): Promise<unknown> =>
  pool.use(async (_, { url }) => backend(url).invoke(), { signal }).catch((error: unknown) => error);
const invoked = ({ backend }: Made, url: string) => backend(url).log.filter((each) => each === 'invoke').length;

describe('a pool none of whose endpoints can be reached', () => {
  it('turns calls away at once, sends none, and takes them within a second of the server’s return', async () => {
    const made = fakePools(['a'], { canaryIntervalMs: 600_000 });
    made.backend('a').failing = 'BACKEND_UNAVAILABLE';
    expect(await call(made)).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    for (let second = 0; second < 60; second++) {
      const error = (await call(made)) as MillraceError;
      expect(isAway(error)).toBe(true);
      expect(error.details).toMatchObject({ pool: 'm' });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(invoked(made, 'a')).toBe(1);
    // No canary, which would be a call of the model.
    expect(made.backend('a').log).not.toContain('probe');
    made.backend('a').failing = undefined;
    await vi.advanceTimersByTimeAsync(700);
    expect(await call(made)).toEqual({ output: {} });
  });

  it('sends those away who wait in its queue when the last endpoint goes', async () => {
    const made = fakePools(['a'], { concurrency: 1, canaryIntervalMs: 600_000 });
    const holder = openCall();
    const holding = made.pool.use(holder.work, { signal }).catch(() => undefined);
    const waiting = call(made);
    made.backend('a').failing = 'BACKEND_UNAVAILABLE';
    holder.end(new MillraceError('BACKEND_UNAVAILABLE', 'the connection broke'));
    await holding;
    expect(isAway((await waiting) as MillraceError)).toBe(true);
    expect(invoked(made, 'a')).toBe(0);
  });

  it('has none that is away for a call that can only go on at another one', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    const elsewhere = new MillraceError('BACKEND_UNAVAILABLE', 'its task is at another one', { elsewhere: true });
    let asked = '';
    const ask = pool.use(
      async (_, { url }) => {
        asked = url;
        throw elsewhere;
      },
      { signal },
    );
    await expect(ask).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    const avoid = asked === 'a' ? 'b' : 'a';
    expect(await pool.use(async (_, { url }) => url, { signal, avoid })).toBe(asked);
  });

  it('is asked no more when nobody wants it, and tried by the next call', async () => {
    const made = fakePools(['a'], { canaryIntervalMs: 600_000 });
    made.backend('a').failing = 'BACKEND_UNAVAILABLE';
    await call(made);
    await vi.advanceTimersByTimeAsync(60_000);
    const calls = made.backend('a').log.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(made.backend('a').log.length).toBe(calls);
    await call(made);
    expect(invoked(made, 'a')).toBe(2);
  });

  it('spreads thousands that wait', async () => {
    const pace = new Pace();
    expect(pace.turnedAway()).toBe(0);
    for (let second = 0; second < 3; second++) {
      for (let i = 0; i < 500; i++) pace.turnedAway();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(pace.turnedAway()).toBe(4_000);
    for (let second = 0; second < 10; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      pace.turnedAway();
    }
    expect(pace.turnedAway()).toBe(0);
  });
});
