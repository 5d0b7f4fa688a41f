import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Pool } from '../../../../activities/pools/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { counts, type FakeBackend, fakePools, openCall } from './fakes.js';

const patient = () => ({ signal: new AbortController().signal });
const call = (pool: Pool): Promise<unknown> =>
  pool
    .use((backend) => (backend as FakeBackend).invoke(), patient())
    .then(
      () => 'ok',
      (error: unknown) => (error instanceof MillraceError ? error.code : error),
    );

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.5); // canaries come exactly once an interval
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('a broken model met by calls', () => {
  it('is repaired once for all of them, and the next calls wait for it', async () => {
    const { pool, backend, metrics } = fakePools(['a']);
    const fake = backend('a');
    fake.failing = 'BACKEND_BROKEN';
    fake.onHeal = () =>
      new Promise((resolve) => {
        setTimeout(() => {
          fake.failing = undefined;
          resolve();
        }, 2_000);
      });
    expect(await Promise.all([call(pool), call(pool), call(pool)])).toEqual(Array(3).fill('BACKEND_BROKEN'));
    const next = Promise.all([call(pool), call(pool)]);
    await vi.advanceTimersByTimeAsync(1_900);
    expect(fake.log).toEqual(['invoke', 'invoke', 'invoke', 'probe', 'heal']);
    await vi.advanceTimersByTimeAsync(200);
    expect(await next).toEqual(['ok', 'ok']);
    expect(fake.log).toEqual(['invoke', 'invoke', 'invoke', 'probe', 'heal', 'probe', 'invoke', 'invoke']);
    expect(await counts(metrics.heals)).toEqual({ 'fake m a ok': 1 });
  });

  it('is left alone when it works again: another worker was first', async () => {
    const { pool, backend, metrics } = fakePools(['a']);
    backend('a').failing = 'BACKEND_BROKEN';
    const failing = call(pool);
    await Promise.resolve();
    backend('a').failing = undefined;
    await failing;
    await vi.advanceTimersByTimeAsync(100);
    expect(backend('a').log).not.toContain('heal');
    expect(await counts(metrics.heals)).toEqual({});
  });

  it('is repaired when its canary gets no answer, for that is how a dead one treats a queue', async () => {
    const { pool, backend } = fakePools(['a']);
    const fake = backend('a');
    fake.failing = 'BACKEND_BROKEN';
    fake.silent = true;
    fake.onHeal = () => {
      fake.silent = false;
      fake.failing = undefined;
    };
    await call(pool);
    const next = call(pool);
    await vi.advanceTimersByTimeAsync(9_900);
    expect(fake.log).toEqual(['invoke', 'probe']);
    await vi.advanceTimersByTimeAsync(200);
    expect(await next).toBe('ok');
    expect(fake.log).toEqual(['invoke', 'probe', 'heal', 'probe', 'invoke']);
  });

  it('is left alone when its canary gets no answer but calls do: it is busy', async () => {
    const { pool, backend } = fakePools(['a']);
    const fake = backend('a');
    const slow = openCall();
    const running = pool.use(slow.work, patient());
    fake.failing = 'BACKEND_BROKEN';
    fake.silent = true;
    await call(pool);
    await vi.advanceTimersByTimeAsync(5_000);
    slow.end();
    await running;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(fake.log).toEqual(['invoke', 'probe']);
  });

  it('is not asked again for each call that began before the repair and fails after it', async () => {
    const { pool, backend } = fakePools(['a']);
    const old = openCall();
    const late = pool.use(old.work, patient()).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1);
    backend('a').failing = 'BACKEND_BROKEN';
    await call(pool);
    await vi.advanceTimersByTimeAsync(1);
    expect(backend('a').log).toEqual(['invoke', 'probe', 'heal', 'probe']);
    old.end(new MillraceError('BACKEND_BROKEN', 'the old process is dead'));
    await late;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(backend('a').log).toHaveLength(4);
  });

  it('does not keep calls waiting for a repair without end', async () => {
    const { pool, backend } = fakePools(['a']);
    backend('a').failing = 'BACKEND_BROKEN';
    backend('a').onHeal = () => new Promise(() => undefined);
    await call(pool);
    const next = call(pool);
    await vi.advanceTimersByTimeAsync(15_001);
    expect(await next).toBe('BACKEND_BROKEN');
  });

  it('sends calls to other endpoints meanwhile', async () => {
    const { pool, backend } = fakePools(['a', 'b']);
    backend('a').failing = 'BACKEND_BROKEN';
    backend('a').onHeal = () => new Promise(() => undefined);
    await call(pool);
    expect(await Promise.all([call(pool), call(pool), call(pool)])).toEqual(['ok', 'ok', 'ok']);
    expect(backend('b').log).toHaveLength(3);
  });

  it('is not repaired over and over when that does not help', async () => {
    const { pool, backend, metrics } = fakePools(['a']);
    const fake = backend('a');
    fake.failing = 'BACKEND_BROKEN';
    fake.onHeal = () => undefined;
    const heals = () => fake.log.filter((entry) => entry === 'heal').length;
    const callsFor = async (ms: number) => {
      for (let at = 0; at < ms; at += 500) {
        await call(pool);
        await vi.advanceTimersByTimeAsync(500);
      }
    };
    await callsFor(9_500);
    expect(heals()).toBe(1);
    await callsFor(2_000);
    expect(heals()).toBe(2);
    await callsFor(18_000);
    expect(heals()).toBe(2);
    await callsFor(3_000);
    expect(heals()).toBe(3);
    expect(await counts(metrics.heals)).toEqual({ 'fake m a failed': 3 });
  });

  it('is asked for once where the server lets no client repair, and avoided until its canary succeeds', async () => {
    const { pool, backend, metrics } = fakePools(['a', 'b']);
    const fake = backend('a');
    fake.failing = 'BACKEND_BROKEN';
    fake.onHeal = () => {
      Object.assign(fake, { heal: undefined });
      throw new MillraceError('BACKEND_REJECTED', 'explicit model load / unload is not allowed');
    };
    expect(await call(pool)).toBe('BACKEND_BROKEN');
    for (let second = 0; second < 600; second++) {
      expect(await call(pool)).toBe('ok');
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(fake.log.filter((entry) => entry === 'heal')).toHaveLength(1);
    expect(fake.log.filter((entry) => entry === 'invoke')).toHaveLength(1);
    expect(await counts(metrics.heals)).toEqual({ 'fake m a refused': 1 });
    // Somebody has restarted the server.
    fake.failing = undefined;
    await vi.advanceTimersByTimeAsync(15_001);
    for (let i = 0; i < 30; i++) {
      expect(await call(pool)).toBe('ok');
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(fake.log.filter((entry) => entry === 'invoke').length).toBeGreaterThan(5);
  });

  it('of a pool with heal: off is never repaired, watched only while broken, and back once its owner has repaired it', async () => {
    const { pool, backend, metrics } = fakePools(['a', 'b'], { heal: 'off' });
    const fake = backend('a');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fake.log).toEqual([]);
    fake.failing = 'BACKEND_BROKEN';
    expect(await call(pool)).toBe('BACKEND_BROKEN');
    for (let second = 0; second < 60; second++) {
      expect(await call(pool)).toBe('ok');
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(fake.log).not.toContain('heal');
    expect(fake.log.filter((entry) => entry === 'probe').length).toBeGreaterThan(1);
    expect(await counts(metrics.heals)).toEqual({ 'fake m a off': 1 });
    fake.failing = undefined;
    await vi.advanceTimersByTimeAsync(20_000);
    const before = fake.log.length;
    for (let i = 0; i < 30; i++) {
      expect(await call(pool)).toBe('ok');
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(fake.log.slice(before)).toContain('invoke');
  });

  it('is repaired by one of many workers at a time; the others find it repaired', async () => {
    const held = new Map<string, string>();
    const redis = {
      set: async (key: string, owner: string) => (held.has(key) ? null : held.set(key, owner) && 'OK'),
      eval: async (script: string, _: number, key: string, owner: string) =>
        script.includes('del') && held.get(key) === owner ? held.delete(key) : 1,
    } as unknown as Redis;
    const workers = Array.from({ length: 3 }, () => fakePools(['a'], { redis }));
    let [repairs, underWay, atOnce] = [0, 0, 0];
    for (const { backend } of workers) {
      backend('a').failing = 'BACKEND_BROKEN';
      backend('a').onHeal = async () => {
        repairs += 1;
        underWay += 1;
        atOnce = Math.max(atOnce, underWay);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        underWay -= 1;
        for (const { backend: other } of workers) other('a').failing = undefined;
      };
    }
    expect(await Promise.all(workers.map(({ pool }) => call(pool)))).toEqual(Array(3).fill('BACKEND_BROKEN'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect([repairs, atOnce]).toEqual([1, 1]);
    expect(await Promise.all(workers.map(({ pool }) => call(pool)))).toEqual(Array(3).fill('ok'));
    expect(held.size).toBe(0);
  });

  it('is repaired without the others where Redis does not answer', async () => {
    const redis = { set: () => new Promise(() => undefined) } as unknown as Redis;
    const { pool, backend } = fakePools(['a'], { redis });
    backend('a').failing = 'BACKEND_BROKEN';
    await call(pool);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(backend('a').log).toContain('heal');
  });

  it('that is the only one gets every call where no repair is allowed: nobody waits for one', async () => {
    const { pool, backend } = fakePools(['a']);
    const fake = backend('a');
    fake.failing = 'BACKEND_BROKEN';
    fake.onHeal = () => {
      Object.assign(fake, { heal: undefined });
      throw new MillraceError('BACKEND_REJECTED', 'explicit model load / unload is not allowed');
    };
    await call(pool);
    await vi.advanceTimersByTimeAsync(1);
    expect(await call(pool)).toBe('BACKEND_BROKEN');
    fake.failing = undefined;
    expect(await call(pool)).toBe('ok');
  });

  it('is not touched any more once the pools are closed', async () => {
    const { pools, pool, backend } = fakePools(['a']);
    pools.close();
    backend('a').failing = 'BACKEND_BROKEN';
    await call(pool);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(backend('a').log).toEqual(['close', 'invoke']);
  });
});

it('repairs and ejections are counted from 0, since a series that appears with 1 has not increased to Prometheus', async () => {
  const heals = async (heal: 'on' | 'off') => (await fakePools(['a'], { heal }).metrics.heals.get()).values;
  expect((await heals('on')).map(({ labels, value }) => [labels.endpoint, labels.outcome, value])).toEqual([
    ['a', 'ok', 0],
    ['a', 'failed', 0],
    ['a', 'refused', 0],
  ]);
  expect((await heals('off')).map(({ labels, value }) => [labels.outcome, value])).toEqual([['off', 0]]);
  const { values } = await fakePools(['a', 'b']).metrics.ejections.get();
  expect(values.map(({ labels, value }) => [labels.endpoint, value])).toEqual([
    ['a', 0],
    ['b', 0],
  ]);
});

describe('canaries', () => {
  const interval = { canaryIntervalMs: 1_000 };

  it('find and repair a dead model without traffic', async () => {
    const { backend, metrics } = fakePools(['a'], interval);
    backend('a').failing = 'BACKEND_BROKEN';
    await vi.advanceTimersByTimeAsync(1_001);
    expect(backend('a').log).toEqual(['probe', 'probe', 'heal', 'probe']);
    expect(await counts(metrics.heals)).toEqual({ 'fake m a ok': 1 });
  });

  it('are silent while calls succeed', async () => {
    const { pool, backend } = fakePools(['a'], interval);
    for (let i = 0; i < 10; i++) {
      await call(pool);
      await vi.advanceTimersByTimeAsync(300);
    }
    expect(backend('a').log).not.toContain('probe');
    await vi.advanceTimersByTimeAsync(2_001);
    expect(backend('a').log).toContain('probe');
  });

  it('do nothing but ask at a server that is down', async () => {
    const { backend, metrics } = fakePools(['a'], interval);
    backend('a').failing = 'BACKEND_UNAVAILABLE';
    await vi.advanceTimersByTimeAsync(10_500);
    expect(backend('a').log).toEqual(Array(10).fill('probe'));
    expect(await counts(metrics.heals)).toEqual({});
  });

  it('load a model that was unloaded and forgotten, at the second look', async () => {
    const { backend } = fakePools(['a'], interval);
    backend('a').failing = 'MODEL_NOT_FOUND';
    await vi.advanceTimersByTimeAsync(1_500);
    expect(backend('a').log).toEqual(['probe']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(backend('a').log).toEqual(['probe', 'probe', 'probe', 'heal', 'probe']);
  });

  it('are not sent any more where the server turned out to offer no repair', async () => {
    const { backend } = fakePools(['a'], interval);
    Object.assign(backend('a'), { heal: undefined });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(backend('a').log).toEqual([]);
  });

  it('let those go on who wait for what a canary found out', async () => {
    const { pool, backend } = fakePools(['a', 'b'], { ...interval, concurrency: 1 });
    const open = openCall();
    const shed = new MillraceError('BACKEND_OVERLOADED', 'full', { retryAfterMs: 20_000 });
    const full = (url: string) => async (_: unknown, at: { url: string }) => {
      expect(at.url).toBe(url);
      throw shed;
    };
    await pool.use(full('a'), patient()).catch(() => undefined);
    void pool.use(open.work, patient()); // the one place of b
    const waiting = vi.fn();
    void call(pool).then(waiting);
    await vi.advanceTimersByTimeAsync(500);
    expect(waiting).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(600);
    expect(backend('a').log).toContain('probe');
    expect(waiting).toHaveBeenCalledWith('ok');
    open.end();
  });

  it('end with the pools', async () => {
    const { pools, backend } = fakePools(['a'], interval);
    pools.close();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(backend('a').log).toEqual(['close']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
