import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallTarget, Pool } from '../../../../activities/pools/index.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { counts, fakePools, openCall, settle } from './fakes.js';

const patient = () => ({ signal: new AbortController().signal });

/** Urls of the endpoints that a number of calls, all left open, were sent to. */
async function spread(pool: Pool, calls: number): Promise<string[]> {
  const urls: string[] = [];
  for (let i = 0; i < calls; i++) {
    void pool.use((_, { url }) => {
      urls.push(url);
      return openCall().work();
    }, patient());
    await settle();
  }
  return urls;
}

const fail = (pool: Pool, code: ErrorCode, details = {}): Promise<CallTarget> =>
  new Promise((resolve) => {
    pool
      .use(async (_, at) => {
        resolve(at);
        throw new MillraceError(code, 'failed', details);
      }, patient())
      .catch(() => undefined);
  });

const where = async (pool: Pool): Promise<string> => pool.use(async (_, { url }) => url, patient());

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a pool', () => {
  it('sends a call where the fewest are in flight', async () => {
    const { pool } = fakePools(['a', 'b', 'c']);
    const urls = await spread(pool, 9);
    expect(urls.toSorted()).toEqual(['a', 'a', 'a', 'b', 'b', 'b', 'c', 'c', 'c']);
  });

  it('takes turns when nothing is in flight', async () => {
    const { pool } = fakePools(['a', 'b']);
    const urls: string[] = [];
    for (let i = 0; i < 4; i++) {
      urls.push(await where(pool));
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(urls).toEqual(['a', 'b', 'a', 'b']);
  });

  it('names the model at the server and the device', async () => {
    const { pool } = fakePools(['a']);
    const kind = 'embed';
    expect(await pool.use(async (_, at) => at, patient())).toEqual({
      model: 'real-m',
      kind,
      url: 'a',
      device: 'gpu-a',
    });
  });

  it('lets no more calls in than an endpoint takes, and the rest in order', async () => {
    const { pool } = fakePools(['a'], { concurrency: 2 });
    const started: number[] = [];
    const calls = [0, 1, 2, 3].map((i) => {
      const call = openCall();
      void pool.use(() => {
        started.push(i);
        return call.work();
      }, patient());
      return call;
    });
    await settle();
    expect(started).toEqual([0, 1]);
    calls[1]?.end();
    await settle();
    expect(started).toEqual([0, 1, 2]);
    calls[0]?.end();
    await settle();
    expect(started).toEqual([0, 1, 2, 3]);
  });

  it('lets go of a call that is aborted while it waits', async () => {
    const { pool } = fakePools(['a'], { concurrency: 1 });
    const first = openCall();
    void pool.use(first.work, patient());
    const controller = new AbortController();
    const second = pool.use(async () => 'second', { signal: controller.signal });
    const third = pool.use(async () => 'third', patient());
    const reason = new Error('cancelled');
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    first.end();
    expect(await third).toBe('third');
  });

  it('does not start a call that is aborted already', async () => {
    const { pool } = fakePools(['a']);
    const work = vi.fn(async () => undefined);
    await expect(pool.use(work, { signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow('late');
    expect(work).not.toHaveBeenCalled();
    expect(await where(pool)).toBe('a');
  });

  it('runs a call once whatever it throws, and counts results', async () => {
    const { pool, metrics } = fakePools(['a']);
    const broken = new TypeError('a bug');
    await expect(pool.use(() => Promise.reject(broken), patient())).rejects.toBe(broken);
    await fail(pool, 'BACKEND_REJECTED');
    await where(pool);
    expect(await counts(metrics.backendCalls)).toEqual({
      'fake m a INTERNAL': 1,
      'fake m a BACKEND_REJECTED': 1,
      'fake m a ok': 1,
    });
    expect((await metrics.poolOutstanding.get()).values.map(({ value }) => value)).toEqual([0]);
  });

  it('counts a call that ran out of time by its code, and one that was cancelled apart from failures', async () => {
    const { pool, metrics } = fakePools(['a']);
    for (const reason of [new Error('the run was cancelled'), new MillraceError('STAGE_TIMEOUT', 'too long')]) {
      const attempt = new AbortController();
      const work = async () => {
        attempt.abort(reason);
        throw new MillraceError('BACKEND_ERROR', 'the connection was closed');
      };
      await expect(pool.use(work, { signal: attempt.signal })).rejects.toThrow();
    }
    expect(await counts(metrics.backendCalls)).toEqual({ 'fake m a STAGE_TIMEOUT': 1, 'fake m a aborted': 1 });
  });

  it('stays away from an endpoint at which an attempt ran out of time, and not from one whose call was cancelled', async () => {
    const expire = (reason: Error) => {
      const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
      const attempt = new AbortController();
      const hung = pool.use(
        async (_, { url }) => {
          attempt.abort(reason);
          throw new Error(`gave up ${url}`);
        },
        { signal: attempt.signal },
      );
      return hung.catch(async () => new Set([await where(pool), await where(pool), await where(pool)]));
    };
    expect((await expire(new MillraceError('STAGE_TIMEOUT', 'too long'))).size).toBe(1);
    expect((await expire(new Error('cancelled'))).size).toBe(2);
  });

  it('stays away from an endpoint that cannot be reached, longer each time, while others are up', async () => {
    const { pool } = fakePools(['a', 'b'], { canaryIntervalMs: 600_000 });
    /** Calls of which those at `a` fail, until it gets one. */
    const failA = async () => {
      for (let sent = ''; sent !== 'a'; ) {
        sent = await pool
          .use(async (_, { url }) => {
            if (url === 'a') throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
            return url;
          }, patient())
          .catch(() => 'a');
        await vi.advanceTimersByTimeAsync(1);
      }
    };
    // After a third failure it is taken out for longer: the other does not fail.
    for (const ms of [1_000, 2_000]) {
      await failA();
      await vi.advanceTimersByTimeAsync(ms - 100);
      expect([await where(pool), await where(pool), await where(pool)]).toEqual(['b', 'b', 'b']);
      await vi.advanceTimersByTimeAsync(100);
    }
    // A success ends it.
    expect(await where(pool)).toBe('a');
    await failA();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([await where(pool), await where(pool)]).toContain('a');
  });

  it('counts calls that fail together as one failure', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 8 });
    const calls = Array.from({ length: 8 }, openCall);
    const done = calls.map((call) =>
      pool
        .use(async (_, { url }) => {
          await call.work();
          if (url === 'a') throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
        }, patient())
        .catch(() => undefined),
    );
    await settle();
    for (const call of calls) call.end();
    await Promise.all(done);
    await vi.advanceTimersByTimeAsync(1_001);
    const urls = [await where(pool), await where(pool)];
    expect(urls).toContain('a');
  });

  it('goes on with its only endpoint, cooling or not', async () => {
    const { pool } = fakePools(['a']);
    await fail(pool, 'BACKEND_TIMEOUT');
    await settle();
    expect(await where(pool)).toBe('a');
  });

  it('believes a full server that says when to come back', async () => {
    const { pool } = fakePools(['a', 'b']);
    const { url } = await fail(pool, 'BACKEND_OVERLOADED', { retryAfterMs: 5_000 });
    const other = url === 'a' ? 'b' : 'a';
    await vi.advanceTimersByTimeAsync(4_900);
    expect([await where(pool), await where(pool)]).toEqual([other, other]);
    await vi.advanceTimersByTimeAsync(200);
    expect(await where(pool)).toBe(url);
  });

  it('waits for a full endpoint while the other cools, and takes the other when it has cooled', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 1 });
    await fail(pool, 'BACKEND_UNAVAILABLE'); // a
    await settle();
    void pool.use(openCall().work, patient()); // b is full
    const waiting = where(pool);
    const result = vi.fn();
    void waiting.then(result);
    await vi.advanceTimersByTimeAsync(900);
    expect(result).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    expect(result).toHaveBeenCalledWith('a');
  });
});

describe('the identity of a pool', () => {
  it('is asked for rarely and changes with the weights', async () => {
    const { pool, backend } = fakePools(['a']);
    expect(await pool.identity(patient().signal)).toBe('fake/real-m@weights-1');
    backend('a').print = 'weights-2';
    expect(await pool.identity(patient().signal)).toBe('fake/real-m@weights-1');
    await vi.advanceTimersByTimeAsync(10_001);
    expect(await pool.identity(patient().signal)).toBe('fake/real-m@weights-2');
  });

  it('has the pool’s options and modalities where answers are cached: a changed prompt or tensor is another model', async () => {
    const answersAs = (options?: JsonObject, modalities?: readonly string[]) =>
      fakePools(['a'], { ...(options && { options }), ...(modalities && { modalities }) }).pool.answersAs(
        patient().signal,
      );
    expect(await answersAs()).toBe('m=fake/real-m@weights-1');
    const [one, same, other] = [await answersAs({ as: 1 }), await answersAs({ as: 1 }), await answersAs({ as: 2 })];
    expect(one).toMatch(/^m=fake\/real-m@weights-1\+[0-9a-f]{16}$/);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    const taking = [await answersAs({ as: 1 }, ['image']), await answersAs({ as: 1 }, ['image', 'audio'])];
    expect(new Set([one, ...taking]).size).toBe(3);
  });

  it('comes from an endpoint that is up', async () => {
    const { pool, backend } = fakePools(['a', 'b']);
    backend('a').failing = 'BACKEND_UNAVAILABLE';
    expect(await pool.identity(patient().signal)).toBe('fake/real-m@weights-1');
  });

  it('outlives its servers, once known', async () => {
    const { pool, backend } = fakePools(['a']);
    backend('a').failing = 'BACKEND_UNAVAILABLE';
    await expect(pool.identity(patient().signal)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    backend('a').failing = undefined;
    await pool.identity(patient().signal);
    backend('a').failing = 'BACKEND_UNAVAILABLE';
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await pool.identity(patient().signal)).toBe('fake/real-m@weights-1');
  });
});
