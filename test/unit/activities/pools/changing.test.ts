import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { FakeBackend, openCall, settle } from './fakes.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A backend whose server reports its health. */
class ReportingBackend extends FakeBackend {
  state: 'ready' | 'loading' | 'silent' = 'ready';

  async ready(): Promise<boolean> {
    this.log.push('ready');
    if (this.state === 'loading') {
      throw new MillraceError('BACKEND_UNAVAILABLE', 'the server is not ready: Loading model', { unsent: true });
    }
    return this.state === 'ready';
  }
}

type Endpoint = {
  url: string;
  device?: string;
  concurrency?: number;
  weight?: number;
  zone?: string;
  draining?: boolean;
};

function open(endpoints: Endpoint[], { zone, reports = false }: { zone?: string; reports?: boolean } = {}) {
  const backends = new Map<string, ReportingBackend>();
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['embed']),
    capabilities: new Set<never>(),
    check: () => undefined,
    connect: (url) => {
      if (url === 'refused') throw new MillraceError('INVALID_SETTING', 'its connector refuses the address');
      const backend = new ReportingBackend(url);
      if (!reports) Object.assign(backend, { ready: undefined });
      backends.set(url, backend);
      return backend;
    },
  };
  const file = (all: Endpoint[], more: object = {}) =>
    parseModels(
      {
        m: {
          ...{ connector: 'fake', model: 'real-m', kind: 'embed' },
          endpoints: all.map((each) => ({ device: 'd', concurrency: 2, ...each })),
          ...more,
        },
      },
      'test',
    );
  const pools = new Pools({
    models: file(endpoints),
    connectors: new Map([['fake', connector]]),
    metrics: createMetrics(),
    logger: quiet,
    canaryIntervalMs: 15_000,
    zone,
  });
  const use = (options: object = {}) =>
    pools.get('m').use(async (_, { url }) => url, { signal: new AbortController().signal, ...options });
  const backend = (url: string) => backends.get(url) as ReportingBackend;
  return { pools, file, use, backend };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('endpoints that change', () => {
  it('calls in flight end where they are, and the client is closed after the last one', async () => {
    const { pools, file, use, backend } = open([{ url: 'a' }]);
    const calls = [openCall(), openCall()];
    const pool = pools.get('m');
    const running = calls.map((call) => pool.use(call.work, { signal: new AbortController().signal }));
    await settle();
    pools.reload(file([{ url: 'b' }, { url: 'c' }]));
    expect(pools.get('m')).toBe(pool);
    expect(new Set([await use(), await use(), await use()])).toEqual(new Set(['b', 'c']));
    expect(backend('a').log).not.toContain('close');
    for (const call of calls) call.end();
    await Promise.all(running);
    expect(backend('a').log).toContain('close');
    expect(backend('b').log).not.toContain('close');
  });

  it('waiting calls go to an endpoint that appears', async () => {
    const { pools, file, use } = open([{ url: 'a' }]);
    const full = [openCall(), openCall()];
    for (const call of full) void pools.get('m').use(call.work, { signal: new AbortController().signal });
    await settle();
    const waiting = use();
    pools.reload(file([{ url: 'a' }, { url: 'b' }]));
    expect(await waiting).toBe('b');
    for (const call of full) call.end();
  });

  it('a concurrency that is raised applies at once, also to calls that wait', async () => {
    const { pools, file, use } = open([{ url: 'a', concurrency: 2 }]);
    const full = [openCall(), openCall()];
    for (const call of full) void pools.get('m').use(call.work, { signal: new AbortController().signal });
    await settle();
    let served: string | undefined;
    void use().then((url) => {
      served = url;
    });
    await settle();
    expect(served).toBeUndefined();
    pools.reload(file([{ url: 'a', concurrency: 3 }]));
    await settle();
    expect(served).toBe('a');
    for (const call of full) call.end();
  });

  it('a pool whose other fields change is replaced; its waiting calls fail unsent', async () => {
    const { pools, file, backend } = open([{ url: 'a' }]);
    const before = pools.get('m');
    const call = openCall();
    const running = [call, call].map(({ work }) => before.use(work, { signal: new AbortController().signal }));
    await settle();
    const waiting = before.use(async () => undefined, { signal: new AbortController().signal });
    const refused = expect(waiting).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
    pools.reload(file([{ url: 'a' }], { model: 'other' }));
    await refused;
    expect(pools.get('m')).not.toBe(before);
    call.end();
    await Promise.all(running);
    expect(backend('a').log).not.toContain('close');
  });

  it('an invalid file changes nothing', async () => {
    const { pools, file } = open([{ url: 'a' }]);
    const before = pools.get('m');
    expect(() => pools.reload(file([{ url: 'b' }], { connector: 'none' }))).toThrow(/no connector/);
    expect(pools.get('m')).toBe(before);
  });

  it('a file with an address that its connector refuses changes nothing and leaves no client, as often as it is read', async () => {
    const { pools, file, use, backend } = open([{ url: 'a' }]);
    const before = pools.get('m');
    const refused = file([{ url: 'b' }, { url: 'refused' }], { model: 'other' });
    for (let i = 0; i < 2; i++) expect(() => pools.reload(refused)).toThrow('its connector refuses the address');
    await vi.advanceTimersByTimeAsync(60_000);
    // Nor the canaries of a pool.
    expect(backend('b').log).toEqual(['close']);
    expect(backend('a').log).not.toContain('close');
    expect(pools.get('m')).toBe(before);
    expect(await use()).toBe('a');
  });

  it('a pool that is gone is not configured', () => {
    const { pools } = open([{ url: 'a' }]);
    pools.reload({});
    expect(() => pools.get('m')).toThrow(expect.objectContaining({ code: 'MODEL_NOT_CONFIGURED' }));
  });
});

describe('the choice of an endpoint', () => {
  it('follows their weights', async () => {
    const { pools } = open([{ url: 'a', weight: 3 }, { url: 'b' }]);
    const pool = pools.get('m');
    const chosen: string[] = [];
    for (let i = 0; i < 3; i++) {
      void pool.use(
        (_, { url }) => {
          chosen.push(url);
          return new Promise(() => undefined);
        },
        { signal: new AbortController().signal },
      );
    }
    await settle();
    expect(chosen.filter((url) => url === 'a')).toHaveLength(2);
  });

  it('prefers the worker’s zone while it has room and works', async () => {
    const { pools, use, backend } = open([{ url: 'far' }, { url: 'near', zone: 'z' }], { zone: 'z' });
    expect([await use(), await use(), await use()]).toEqual(['near', 'near', 'near']);
    const full = [openCall(), openCall()];
    for (const call of full) void pools.get('m').use(call.work, { signal: new AbortController().signal });
    await settle();
    expect(await use()).toBe('far');
    for (const call of full) call.end();
    await settle();
    backend('near').failing = 'BACKEND_UNAVAILABLE';
    const failing = pools.get('m').use((each) => each.invoke(undefined as never, undefined as never), {
      signal: new AbortController().signal,
    });
    await expect(failing).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(await use()).toBe('far');
  });

  it('takes a draining one only if there is no other', async () => {
    const { pools, file, use } = open([{ url: 'a', draining: true }, { url: 'b' }]);
    expect([await use(), await use()]).toEqual(['b', 'b']);
    pools.reload(file([{ url: 'a', draining: true }]));
    expect(await use()).toBe('a');
  });
});

describe('a server that reports its health', () => {
  it('gets one small call before traffic', async () => {
    const { use, backend } = open([{ url: 'a' }], { reports: true });
    expect(await use()).toBe('a');
    expect(await use()).toBe('a');
    expect(backend('a').log).toEqual(['ready', 'probe']);
  });

  it('gets none if it makes no such report: it may charge for it', async () => {
    const { use, backend } = open([{ url: 'a' }], { reports: true });
    backend('a').state = 'silent';
    expect(await use()).toBe('a');
    expect(backend('a').log).toEqual(['ready']);
  });

  it('is not ready while it loads, which is no failure: calls go elsewhere, and come when it is', async () => {
    const { pools, use, backend } = open([{ url: 'a' }, { url: 'b' }], { reports: true });
    backend('a').state = 'loading';
    expect([await use(), await use()]).toEqual(['b', 'b']);
    expect(await pools.reach(new AbortController().signal)).toEqual({ m: { away: 1, of: 2 } });
    expect(backend('a').log).not.toContain('probe');
    backend('a').state = 'ready';
    await vi.advanceTimersByTimeAsync(2_000);
    const chosen = new Set([await use(), await use()]);
    expect(chosen).toEqual(new Set(['a', 'b']));
    expect(backend('a').log.at(-1)).toBe('probe');
    expect(await pools.reach(new AbortController().signal)).toEqual({ m: { away: 0, of: 2 } });
  });

  it('while the only one loads, calls fail unsent: their stages wait and use no attempt', async () => {
    const { use, backend } = open([{ url: 'a' }], { reports: true });
    backend('a').state = 'loading';
    await expect(use()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
  });

  it('a poll finds out that an engine has died, without a call', async () => {
    const { pools, use, backend } = open([{ url: 'a' }, { url: 'b' }], { reports: true });
    await Promise.all([use(), use()]);
    backend('a').state = 'loading';
    await pools.reach(new AbortController().signal);
    expect([await use(), await use(), await use()]).toEqual(['b', 'b', 'b']);
  });

  it('a warm-up call that fails for another reason lets calls find out', async () => {
    const { use, backend } = open([{ url: 'a' }], { reports: true });
    backend('a').failing = 'MODEL_NOT_FOUND';
    expect(await use()).toBe('a');
  });
});
