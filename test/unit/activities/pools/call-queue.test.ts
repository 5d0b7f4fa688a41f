import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Endpoint } from '../../../../activities/pools/endpoint.js';
import type { Pool, UseOptions } from '../../../../activities/pools/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Priority } from '../../../../pipelines/plan/index.js';
import { Turns } from '../../../../runtime/turns.js';
import { fakePools, openCall, settle } from './fakes.js';

const signal = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A pool of one place that is taken, and the names of the calls that got it afterwards, each ending at once. */
function taken(urls = ['a']) {
  const { pool } = fakePools(urls, { concurrency: 1 });
  const holder = openCall();
  const holding = urls.map(() => pool.use(holder.work, { signal }));
  const served: string[] = [];
  const ask = (name: string, options: Partial<UseOptions> = {}) =>
    pool.use(async () => void served.push(name), { signal, ...options });
  const free = async () => {
    holder.end();
    await Promise.all(holding);
    await settle();
  };
  return { pool, ask, served, free };
}

describe('calls that wait', () => {
  it('go in the order of priority, then of arrival', async () => {
    const { ask, served, free } = taken();
    const calls: [string, Priority | undefined][] = [
      ['b1', 'batch'],
      ['d1', undefined],
      ['i1', 'interactive'],
      ['b2', 'batch'],
      ['d2', 'default'],
      ['i2', 'interactive'],
    ];
    const all = calls.map(([name, priority]) => ask(name, { priority }));
    await free();
    await Promise.all(all);
    expect(served).toEqual(['i1', 'i2', 'd1', 'd2', 'b1', 'b2']);
  });

  it('age: batch waits for no interactive call that comes more than 20 s after it', async () => {
    const { ask, served, free } = taken();
    const all = [ask('batch', { priority: 'batch' })];
    await vi.advanceTimersByTimeAsync(19_900);
    all.push(ask('interactive at 19.9 s', { priority: 'interactive' }));
    await vi.advanceTimersByTimeAsync(200);
    all.push(ask('interactive at 20.1 s', { priority: 'interactive' }));
    await free();
    await Promise.all(all);
    expect(served).toEqual(['interactive at 19.9 s', 'batch', 'interactive at 20.1 s']);
  });

  it('age: default waits for no interactive call that comes more than 10 s after it', async () => {
    const { ask, served, free } = taken();
    const all = [ask('default')];
    await vi.advanceTimersByTimeAsync(10_100);
    all.push(ask('interactive', { priority: 'interactive' }));
    await free();
    await Promise.all(all);
    expect(served).toEqual(['default', 'interactive']);
  });

  it('take turns by tenant: many calls of one do not keep those of the others waiting', async () => {
    const { ask, served, free } = taken();
    const calls = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'];
    const all = calls.map((name) => ask(name, { tenant: name.slice(0, 1) }));
    await free();
    await Promise.all(all);
    expect(served).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
  });

  it('take turns by the calls that are in flight: a tenant that has the places of others waits for its own', async () => {
    const { pool } = fakePools(['a'], { concurrency: 2 });
    const [one, two] = [openCall(), openCall()];
    const holding = [one, two].map(({ work }) => pool.use(work, { signal, tenant: 'greedy' }));
    const served: string[] = [];
    const ask = (tenant: string) => pool.use(async () => void served.push(tenant), { signal, tenant });
    const all = ['greedy', 'greedy', 'modest', 'modest'].map(ask);
    one.end();
    await settle();
    expect(served.slice(0, 2)).toEqual(['modest', 'modest']);
    two.end();
    await Promise.all([...holding, ...all]);
    expect(served).toHaveLength(4);
  });

  it('take turns within a priority alone', async () => {
    const { ask, served, free } = taken();
    const all = [
      ask('b', { tenant: 'b' }),
      ask('a1', { tenant: 'a', priority: 'interactive' }),
      ask('a2', { tenant: 'a', priority: 'interactive' }),
    ];
    await free();
    await Promise.all(all);
    expect(served).toEqual(['a1', 'a2', 'b']);
  });

  it('age also behind an old call of a tenant that waits for its turn', async () => {
    const { pool } = fakePools(['a'], { concurrency: 2 });
    const [long, other] = [openCall(), openCall()];
    const holding = [pool.use(long.work, { signal, tenant: 'g' }), pool.use(other.work, { signal, tenant: 'h' })];
    const served: string[] = [];
    const ask = (tenant: string, priority: Priority) =>
      pool.use(async () => void served.push(tenant), { signal, tenant, priority });
    const all = [ask('g', 'interactive'), ask('m', 'default')];
    await vi.advanceTimersByTimeAsync(10_100);
    all.push(ask('a', 'interactive'));
    other.end();
    await Promise.all(all);
    expect(served).toEqual(['m', 'a', 'g']);
    long.end();
    await Promise.all(holding);
  });

  it('cost a step each where they may not use the endpoint that has room, not one for every other call', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 1 });
    const holder = openCall();
    const held = pool.use(holder.work, { signal, devices: ['gpu-b'] });
    const [calls, tenants] = [600, 30];
    const served: string[] = [];
    const all = Array.from({ length: calls }, (_, i) => {
      const tenant = `t${i % tenants}`;
      return pool.use(async () => void served.push(tenant), { signal, tenant, devices: ['gpu-b'] });
    });
    const [compared, looked] = [
      vi.spyOn(Turns.prototype, 'precedes'),
      vi.spyOn(Endpoint.prototype, 'availability', 'get'),
    ];
    await pool.use(async () => void served.push('free'), { signal });
    expect(served).toEqual(['free']);
    // Two looks at the queue: when this call came, and when it gave its place back.
    const sorting = 2 * tenants * Math.ceil(Math.log2(tenants));
    expect(compared.mock.calls.length).toBeLessThan(2 * sorting);
    expect(looked.mock.calls.length).toBeLessThan(100);
    vi.restoreAllMocks();
    holder.end();
    await Promise.all([held, ...all]);
    // Thirty tenants take turns, twenty times.
    for (let turn = 0; turn < calls; turn += tenants)
      expect(new Set(served.slice(1 + turn, 1 + turn + tenants)).size).toBe(tenants);
  });

  it('give up after their queue time, and are not served afterwards', async () => {
    const { ask, served, free } = taken();
    const refused = expect(ask('impatient', { queueMs: 100 })).rejects.toMatchObject({ code: 'QUEUE_TIMEOUT' });
    const other = ask('patient');
    await vi.advanceTimersByTimeAsync(99);
    expect(served).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await refused;
    await free();
    await other;
    expect(served).toEqual(['patient']);
  });

  it('have a place that is free whatever their queue time', async () => {
    const { pool } = fakePools(['a']);
    expect(await pool.use(async () => 'served', { signal, queueMs: 0 })).toBe('served');
    expect(vi.getTimerCount()).toBe(1); // the canary's
  });

  it('leave no timer and no listener behind', async () => {
    const { ask, free } = taken();
    const controller = new AbortController();
    const listening = vi.spyOn(controller.signal, 'removeEventListener');
    const timers = vi.getTimerCount();
    const call = ask('one', { signal: controller.signal, queueMs: 1_000 });
    await free();
    await call;
    expect(vi.getTimerCount()).toBe(timers);
    expect(listening).toHaveBeenCalledWith('abort', expect.anything());
  });
});

describe('calls with an affinity', () => {
  const where = (pool: Pool, affinity: string) => pool.use(async (_, { url }) => url, { signal, affinity });
  const keys = Array.from({ length: 300 }, (_, i) => `conversation ${i}`);
  const places = async (pool: Pool) => {
    const urls: string[] = [];
    for (const key of keys) urls.push(await where(pool, key));
    return urls;
  };

  it('go to the same endpoint each time, keys spread over all', async () => {
    const { pool } = fakePools(['a', 'b', 'c']);
    const first = await places(pool);
    expect(await places(pool)).toEqual(first);
    for (const url of ['a', 'b', 'c']) expect(first.filter((each) => each === url).length).toBeGreaterThan(70);
  });

  it('stay where they were when an endpoint is added, but for those that it takes', async () => {
    const before = await places(fakePools(['a', 'b', 'c']).pool);
    const after = await places(fakePools(['a', 'b', 'c', 'd']).pool);
    const moved = after.filter((url, i) => url !== before[i]);
    expect(new Set(moved)).toEqual(new Set(['d']));
    expect(moved.length).toBeLessThan(keys.length / 3);
  });

  it('go elsewhere when their endpoint has three calls more than another', async () => {
    const { pool } = fakePools(['a', 'b']);
    const urls: string[] = [];
    for (let i = 0; i < 8; i++) {
      void pool.use(
        (_, { url }) => {
          urls.push(url);
          return openCall().work();
        },
        { signal, affinity: 'one' },
      );
      await settle();
    }
    const [home = ''] = urls;
    const other = home === 'a' ? 'b' : 'a';
    expect(urls).toEqual([home, home, home, other, home, other, home, other]);
  });

  it('go elsewhere while their endpoint cannot be reached or is full', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 1 });
    const home = await where(pool, 'one');
    const holder = openCall();
    const holding = pool.use(holder.work, { signal, affinity: 'one' });
    await settle();
    expect(await where(pool, 'one')).not.toBe(home);
    holder.end();
    await holding;
    expect(await where(pool, 'one')).toBe(home);
  });
});

describe('calls that have just failed at an endpoint', () => {
  /** Two endpoints, of which `b` says that it is full. */
  function full(retryAfterMs?: number) {
    const { pool } = fakePools(['a', 'b']);
    const where = (queueMs?: number) =>
      pool.use(async (_, { url }) => url, { signal, avoid: 'a', ...(queueMs !== undefined && { queueMs }) });
    const refuse = () =>
      pool
        .use(
          async () => {
            throw new MillraceError('BACKEND_OVERLOADED', 'full', {
              ...(retryAfterMs !== undefined && { retryAfterMs }),
            });
          },
          { signal, devices: ['gpu-b'] },
        )
        .catch(() => undefined);
    return { where, refuse };
  }

  it('wait a moment for another one that is full', async () => {
    const { where, refuse } = full();
    await refuse();
    const waiting = where();
    await vi.advanceTimersByTimeAsync(300);
    expect(await waiting).toBe('b');
  });

  it('go back where the other one is full for longer than they would wait', async () => {
    const long = full(5_000);
    await long.refuse();
    expect(await long.where()).toBe('a');
    const { where, refuse } = full();
    await refuse();
    expect(await where(100), 'a free slot is assigned however short the wait may be').toBe('a');
  });

  it('go back after a second where it says so again and again', async () => {
    const { where, refuse } = full();
    await refuse();
    const served: string[] = [];
    void where().then((url) => served.push(url));
    for (let ms = 0; ms < 1_000; ms += 100) {
      if (ms < 700) expect(served).toEqual([]);
      await refuse();
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(served).toEqual(['a']);
  });
});

describe('calls that go on from what an earlier attempt has left', () => {
  const where = (pool: Pool, options: Partial<UseOptions>) =>
    pool.use(async (_, { url }) => url, { signal, ...options });
  /** Two endpoints of one place each, of which `b` works on the task `t`. */
  function held() {
    const fake = fakePools(['a', 'b'], { concurrency: 1 });
    Object.assign(fake.backend('a'), { holds: () => false });
    Object.assign(fake.backend('b'), { holds: (checkpoint: unknown) => checkpoint === 't' });
    return fake;
  }

  it('go to the endpoint that holds it, though they have just failed there and others are free', async () => {
    const { pool } = held();
    for (let i = 0; i < 4; i++) expect(await where(pool, { resumeFrom: 't' })).toBe('b');
    expect(await where(pool, { resumeFrom: 't', avoid: 'b' })).toBe('b');
  });

  it('wait for it, while others go elsewhere', async () => {
    const { pool } = held();
    const holder = openCall();
    const holding = pool.use(holder.work, { signal, resumeFrom: 't' });
    const waiting = where(pool, { resumeFrom: 't' });
    expect(await where(pool, {})).toBe('a');
    holder.end();
    expect(await waiting).toBe('b');
    await holding;
  });

  it('are turned away unsent while it cannot be reached', async () => {
    const { pool, backend } = held();
    backend('b').failing = 'BACKEND_UNAVAILABLE';
    const call = () => pool.use(async (client) => client.invoke({} as never, {} as never), { signal, resumeFrom: 't' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
    expect(backend('a').log).not.toContain('invoke');
  });

  it('go to another one while it cannot be reached, if what it holds can be begun anew', async () => {
    const { pool, backend } = held();
    Object.assign(backend('b'), { holds: (checkpoint: unknown) => checkpoint === 't' && 'preferred' });
    expect(await where(pool, { resumeFrom: 't', avoid: 'b' })).toBe('b');
    backend('b').failing = 'BACKEND_UNAVAILABLE';
    const call = () => pool.use(async (client) => client.invoke({} as never, {} as never), { signal, resumeFrom: 't' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    await call();
    expect([backend('a').log, backend('b').log].map((log) => log.filter((each) => each === 'invoke'))).toEqual([
      ['invoke'],
      ['invoke'],
    ]);
  });

  it('go anywhere if a connector throws where it must not, and end no other call by that', async () => {
    const { pool, backend } = held();
    const holder = openCall();
    const holding = ['a', 'b'].map(() => pool.use(holder.work, { signal }));
    const throws = () => {
      throw new TypeError('no such member');
    };
    for (const url of ['a', 'b']) Object.assign(backend(url), { holds: throws });
    const waiting = where(pool, { resumeFrom: 't' });
    await settle();
    holder.end();
    await Promise.all(holding);
    expect(['a', 'b']).toContain(await waiting);
  });

  it('go to one of their devices, and anywhere where no endpoint holds it', async () => {
    const { pool } = held();
    expect(await where(pool, { resumeFrom: 't', devices: ['gpu-a'] })).toBe('a');
    expect(await where(pool, { resumeFrom: 'other', avoid: 'b' })).toBe('a');
    expect(await where(pool, { resumeFrom: 'other', avoid: 'a' })).toBe('b');
  });
});

describe('calls for a device', () => {
  it('go to the endpoint on it, and wait for it while others are free', async () => {
    const { pool } = fakePools(['a', 'b'], { concurrency: 1 });
    const holder = openCall();
    const holding = pool.use(holder.work, { signal, devices: ['gpu-b'] });
    const served: string[] = [];
    const ask = (name: string, device?: string) =>
      pool.use(async (_, { url }) => void served.push(`${name} at ${url}`), {
        signal,
        ...(device && { devices: [device] }),
      });
    const waiting = ask('first', 'gpu-b');
    await ask('second');
    await settle();
    expect(served).toEqual(['second at a']);
    holder.end();
    await Promise.all([holding, waiting]);
    expect(served).toEqual(['second at a', 'first at b']);
  });

  it('go anywhere where the pool has none on it', async () => {
    const { pool } = fakePools(['a']);
    expect(await pool.use(async (_, { url }) => url, { signal, devices: ['gpu-z'] })).toBe('a');
  });
});
