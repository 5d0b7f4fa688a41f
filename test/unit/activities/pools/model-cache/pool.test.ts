import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Pools, parseModels } from '../../../../../activities/pools/index.js';
import { MillraceError } from '../../../../../pipelines/errors.js';
import { createMetrics } from '../../../../../telemetry/metrics.js';
import {
  calling,
  RepositoryServer,
  repositoryConnector,
  repositoryModels,
} from '../../../../support/repository-server.js';

/* Without the state store: nothing is unloaded. What workers agree on there is tested on a real Redis. */

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const signal = () => new AbortController().signal;
const opened: Pools[] = [];
afterEach(() => {
  for (const pools of opened.splice(0)) pools.close();
});

function poolsAt(
  servers: readonly RepositoryServer[],
  { models = ['a'], fit = 2, load = {} }: { models?: string[]; fit?: number; load?: Record<string, object> } = {},
) {
  const metrics = createMetrics();
  const pools = new Pools({
    models: parseModels(repositoryModels(servers, models, fit, load), 'test'),
    connectors: new Map([['repository', repositoryConnector(servers)]]),
    metrics,
    logger: quiet,
    canaryIntervalMs: 20,
  });
  opened.push(pools);
  const attempt = (model: string, ms = 0) => pools.get(model).use(calling(ms), { signal: signal() });
  /** Attempts as a stage makes them: one that is sent away since the load takes a while comes back. */
  const call = async (model: string, ms = 0): Promise<unknown> => {
    for (;;) {
      try {
        return await attempt(model, ms);
      } catch (error) {
        if (!(error instanceof MillraceError && error.details.loading === true)) throw error;
        await sleep(10);
      }
    }
  };
  return { metrics, pools, attempt, call };
}

const loading = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true, loading: true, pool: 'a' } };

describe('a pool whose model is loaded on demand', () => {
  it('loads it for its first call, once for several, and not again', async () => {
    const server = new RepositoryServer('one');
    const { call, metrics } = poolsAt([server]);
    await Promise.all([call('a'), call('a'), call('a')]);
    await call('a');
    expect(server.log).toEqual(['load a', 'call a', 'call a', 'call a', 'call a']);
    expect((await metrics.modelLoads.get()).values).toMatchObject([
      { labels: { model: 'a', outcome: 'ok' }, value: 1 },
    ]);
  });

  it('sends a call away that would wait for long, without a slot and without calling the server away', async () => {
    const server = new RepositoryServer('one');
    const release = server.hold();
    const { attempt, call, pools } = poolsAt([server]);
    await expect(attempt('a')).rejects.toMatchObject(loading);
    await expect(attempt('a')).rejects.toMatchObject({
      ...loading,
      message: expect.stringMatching(/^a at one: .*load/),
    });
    expect(await pools.reach(signal())).toEqual({ a: { away: 0, of: 1 } });
    release();
    await expect.poll(() => server.states.get('a')).toBe('ready');
    await call('a');
    expect(server.log).toEqual(['load a', 'call a']);
  });

  it('has MODEL_NOT_LOADED with what the server says if it cannot be loaded', async () => {
    const server = new RepositoryServer('one');
    server.broken.set('a', 'out of memory');
    const { call } = poolsAt([server]);
    await expect(call('a')).rejects.toMatchObject({
      ...{ code: 'MODEL_NOT_LOADED', message: 'a at one: out of memory', details: { endpoint: 'one' } },
    });
  });

  it('waits where its server is away, as any other pool', async () => {
    const server = new RepositoryServer('one');
    server.away = true;
    const { attempt, call } = poolsAt([server]);
    const away = { code: 'BACKEND_UNAVAILABLE', details: { unsent: true, pool: 'a' } };
    await expect(attempt('a')).rejects.toMatchObject(away);
    await expect(attempt('a')).rejects.not.toMatchObject({ details: { loading: true } });
    server.away = false;
    await expect
      .poll(() =>
        call('a').then(
          () => 'done',
          (error: Error) => error.message,
        ),
      )
      .toBe('done');
  });

  it('is loaded again where its server has lost it: no attempt failed', async () => {
    const server = new RepositoryServer('one');
    const { attempt, call } = poolsAt([server]);
    await call('a');
    const release = server.hold();
    const open = call('a');
    await expect.poll(() => server.calls.get('a')).toBe(1);
    server.restart();
    await expect(attempt('a')).rejects.toMatchObject(loading);
    release();
    await open;
    await expect.poll(() => server.states.get('a')).toBe('ready');
    await call('a');
    expect(server.loads).toBe(2);
  });

  it('says so where there is no room, and unloads nothing without the state store', async () => {
    const server = new RepositoryServer('one', 2);
    const { attempt, call, metrics } = poolsAt([server], { models: ['a', 'b', 'c'] });
    await call('b');
    await call('c');
    await expect(attempt('a')).rejects.toMatchObject({ ...loading, message: expect.stringContaining('no memory') });
    expect(server.log).not.toContainEqual(expect.stringMatching(/^unload/));
    expect(server.faults).toEqual([]);
    const { values } = await metrics.modelLoads.get();
    expect(values).toContainEqual(expect.objectContaining({ labels: expect.objectContaining({ outcome: 'full' }) }));
  });

  it('calls the server that has it loaded, and has it loaded at another one when that is away', async () => {
    const [one, two] = [new RepositoryServer('one'), new RepositoryServer('two')];
    one.states.set('other', 'ready');
    const { call } = poolsAt([one, two], { models: ['a', 'other'] });
    // Where more memory is free.
    for (let i = 0; i < 6; i++) await call('a');
    expect([one.loads, two.loads]).toEqual([0, 1]);
    expect(two.log.filter((line) => line === 'call a')).toHaveLength(6);
    two.away = true;
    await expect
      .poll(() =>
        call('a').then(
          () => 'done',
          (error: Error) => error.message,
        ),
      )
      .toBe('done');
    expect(one.log).toEqual(['load a', 'call a']);
  });

  it('has no canaries, which would find it missing and load it', async () => {
    const server = new RepositoryServer('one');
    poolsAt([server]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.log).toEqual([]);
  });

  it('is loaded to be identified', async () => {
    const server = new RepositoryServer('one');
    const release = server.hold();
    const { pools } = poolsAt([server]);
    await expect(pools.get('a').identity(signal())).rejects.toMatchObject(loading);
    release();
    await expect.poll(() => server.states.get('a')).toBe('ready');
    expect(await pools.get('a').identity(signal())).toBe('repository/a@weights of a');
  });

  it('is loaded when the worker starts if it is pinned', async () => {
    const server = new RepositoryServer('one');
    poolsAt([server], { models: ['a', 'b'], load: { b: { pin: true } } });
    await expect.poll(() => server.log).toEqual(['load b']);
  });
});

describe('a model that is needed soon', () => {
  it('is loaded without a call, if there is room', async () => {
    const server = new RepositoryServer('one');
    const { pools, call } = poolsAt([server], { models: ['a', 'b', 'c'] });
    pools.get('a').expect();
    await expect.poll(() => server.log).toEqual(['load a']);
    await call('b');
    pools.get('c').expect();
    await call('a');
    expect(server.log).toEqual(['load a', 'load b', 'call b', 'call a']);
  });

  it('may be that of a server that is away', async () => {
    const server = new RepositoryServer('one');
    server.away = true;
    const { pools } = poolsAt([server]);
    pools.get('a').expect();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(server.log).toEqual([]);
  });
});
