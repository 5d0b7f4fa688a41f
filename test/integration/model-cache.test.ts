import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { SharedModels } from '../../activities/pools/model-cache/shared-models.js';
import { MillraceError } from '../../pipelines/errors.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { recordingLogger } from '../support/caches.js';
import { ownRedis } from '../support/own-redis.js';
import { calling, RepositoryServer, repositoryConnector, repositoryModels } from '../support/repository-server.js';
import { address } from '../support/runs.js';
import { unlessStill } from '../support/unless-still.js';

/*
 * What workers agree on about a server's models, on a real Redis, at servers that note whatever must not happen. All are in this
 * process: where it stands still their leases run out together, and a load seems long.
 */

const open = (url: string) => createRedis({ url, timeoutMs: 5_000, logger: recordingLogger().logger });
const redis = open(address('REDIS_URL'));
beforeAll(async () => expect(await connected(redis, 30_000)).toBe(true));
afterAll(() => redis.disconnect());

const opened: Pools[] = [];
afterEach(() => {
  for (const pools of opened.splice(0)) pools.close();
});

const server = (fit: number) => new RepositoryServer(randomUUID(), fit);

/** A worker with a pool for each model. */
function worker(
  servers: readonly RepositoryServer[],
  models: readonly string[],
  fit: number,
  { load, store = redis }: { load?: Record<string, object>; store?: typeof redis } = {},
) {
  const metrics = createMetrics();
  const pools = new Pools({
    models: parseModels(repositoryModels(servers, models, fit, load), 'test'),
    connectors: new Map([['repository', repositoryConnector(servers)]]),
    metrics,
    logger: recordingLogger().logger,
    canaryIntervalMs: 600_000,
    redis: store,
  });
  opened.push(pools);
  const once = (model: string, ms = 0) => pools.get(model).use(calling(ms), { signal: new AbortController().signal });
  /** As a stage: it comes back while its model is being loaded. */
  const call = async (model: string, ms = 0): Promise<unknown> => {
    for (;;) {
      try {
        return await once(model, ms);
      } catch (error) {
        if (!(error instanceof MillraceError && error.details.unsent)) throw error;
        await sleep(20 + 40 * Math.random());
      }
    }
  };
  return { pools, metrics, once, call };
}

const loading = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true, loading: true } };

describe('models that workers load on demand', () => {
  it('take no more memory than there is, and are not unloaded under their calls, whatever four workers call', () =>
    unlessStill(async () => {
      const at = server(3);
      at.loadMs = 5;
      const models = Array.from({ length: 8 }, (_, i) => `m${i}`);
      const workers = Array.from({ length: 4 }, () => worker([at], models, 3));
      const callers = workers.flatMap(({ call }) =>
        Array.from({ length: 3 }, async (_, i) => {
          for (let n = 0; n < 15; n++) await call(models[(i + n * n) % models.length] ?? 'm0', 5 * Math.random());
        }),
      );
      await Promise.all(callers);
      expect(at.faults).toEqual([]);
      expect(at.log.filter((line) => line.startsWith('call '))).toHaveLength(4 * 3 * 15);
      expect(at.loads).toBeGreaterThan(models.length);
    }));

  it('make room by worth: what is called often stays', () =>
    unlessStill(async () => {
      const at = server(2);
      // Far longer than what the machine adds to it.
      at.loadMs = 50;
      const { call } = worker([at], ['often', 'b', 'c'], 2);
      for (let i = 0; i < 40; i++) await call('often');
      for (const model of ['b', 'c', 'b', 'c']) await call(model);
      expect(at.log.filter((line) => line === 'load often')).toHaveLength(1);
      expect(at.log).toContain('unload b');
      // Worth is remembered over a worker: another one does not begin anew.
      const other = worker([at], ['often', 'b', 'c'], 2);
      await other.call('b');
      expect(at.log).not.toContain('unload often');
    }));

  it('stay while another worker has a call of them, and calls that find no room wait', () =>
    unlessStill(async () => {
      const at = server(1);
      const [one, two] = [worker([at], ['a', 'b'], 1), worker([at], ['a', 'b'], 1)];
      await one.call('a');
      const long = one.call('a', 8_000);
      await expect.poll(() => at.calls.get('a')).toBe(1);
      // Longer than a lease that is not renewed.
      const until = performance.now() + 5_000;
      while (performance.now() < until) {
        await expect(two.once('b')).rejects.toMatchObject({
          ...loading,
          message: expect.stringContaining('no memory'),
        });
        await sleep(500);
      }
      await long;
      await two.call('b');
      expect(at.faults).toEqual([]);
      expect(at.log.slice(-3)).toEqual(['unload a', 'load b', 'call b']);
    }));

  it('are free again some seconds after a worker has died with a call', () =>
    unlessStill(async () => {
      const at = server(1);
      const { call } = worker([at], ['a', 'b'], 1);
      await call('a');
      const dead = new SharedModels(redis, `repository ${at.url}`, randomUUID());
      // Before its lease begins: a machine that stands still after it must not shorten it.
      const began = performance.now();
      expect(await dead.enter('a', 1, 1)).toEqual({ ready: true });
      await call('b');
      expect(performance.now() - began).toBeGreaterThan(3_000);
    }));

  it('that a dead worker was loading are loaded by another one', () =>
    unlessStill(async () => {
      const at = server(1);
      const { call, once } = worker([at], ['a', 'b'], 1);
      await call('a');
      const dead = new SharedModels(redis, `repository ${at.url}`, randomUUID());
      // Before it begins: a machine that stands still after it must not shorten it.
      let began = 0;
      await expect
        .poll(async () => {
          const { gen, clock } = await dead.observe('b', 1);
          began = performance.now();
          return dead.begin(gen, { model: 'b', victims: ['a'], clock, present: ['a'] });
        })
        .toBe(true);
      // It is as good as unloaded: no call may start there.
      await expect(once('a')).rejects.toMatchObject(loading);
      await call('b');
      expect(performance.now() - began).toBeGreaterThan(5_000);
      expect(at.log.slice(-3)).toEqual(['unload a', 'load b', 'call b']);
    }));

  it('are read from the server: after its restart each is loaded again, and no call has failed', () =>
    unlessStill(async () => {
      const at = server(2);
      const { call } = worker([at], ['a', 'b'], 2);
      await call('a');
      await call('b');
      at.restart();
      await Promise.all([call('a'), call('b')]);
      expect(at.log.filter((line) => line.startsWith('load '))).toHaveLength(4);
      expect(at.log.filter((line) => line.startsWith('unload '))).toEqual([]);
      // Those that somebody else has unloaded take no memory.
      at.states.delete('a');
      await call('a');
      expect(at.faults).toEqual([]);
    }));

  it('that cannot be loaded fail with a code, and the server is not asked again and again', () =>
    unlessStill(async () => {
      const at = server(1);
      at.broken.set('a', 'out of memory');
      const { call } = worker([at], ['a', 'b'], 1);
      const other = worker([at], ['a', 'b'], 1);
      for (const caller of [call, call, other.call]) {
        await expect(caller('a')).rejects.toMatchObject({
          ...{ code: 'MODEL_NOT_LOADED', message: `a at ${at.url}: out of memory` },
        });
        await sleep(300);
      }
      expect(at.log).toEqual(['load a']);
      await call('b');
    }));

  it('that are pinned are loaded at once, and again after a restart, and never make room', () =>
    unlessStill(async () => {
      const at = server(2);
      const { call } = worker([at], ['a', 'b', 'c'], 2, { load: { c: { pin: true } } });
      await expect.poll(() => at.states.get('c')).toBe('ready');
      for (const model of ['a', 'b', 'a', 'b']) await call(model);
      expect(at.log).not.toContain('unload c');
      at.restart();
      await expect.poll(() => at.states.get('c')).toBe('ready');
    }));
});

describe('while the state store is away', () => {
  it('models are loaded where there is room, and none is unloaded; afterwards again', () =>
    unlessStill(async () => {
      const own = await ownRedis(address('REDIS_URL'));
      await own.start();
      const store = createRedis({ url: own.url, timeoutMs: 300, logger: recordingLogger().logger });
      try {
        expect(await connected(store, 30_000)).toBe(true);
        const at = server(2);
        const { call, once } = worker([at], ['a', 'b', 'c'], 2, { store });
        await call('a');
        await own.kill();
        await call('b');
        await call('a');
        await expect(once('c')).rejects.toMatchObject({ ...loading, message: expect.stringContaining('no memory') });
        expect(at.log.filter((line) => line.startsWith('unload '))).toEqual([]);
        await own.start();
        await call('c');
        expect(at.faults).toEqual([]);
        expect(at.log.filter((line) => line.startsWith('unload '))).toHaveLength(1);
      } finally {
        store.disconnect();
        await own.kill();
      }
    }));
});
