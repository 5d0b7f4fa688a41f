import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { type DiscoverySettings, Pools, parseModels } from '../../../../activities/pools/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { FakeBackend } from './fakes.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
const file = (name: string, text: string) => {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
};

const opened: Pools[] = [];
afterEach(() => {
  for (const pools of opened.splice(0)) pools.close();
});

/** A pool whose first search has begun. */
function searching(pool: object, discovery?: DiscoverySettings) {
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['embed']),
    capabilities: new Set<never>(),
    check: () => undefined,
    connect: (url) => new FakeBackend(url),
  };
  const pools = new Pools({
    models: parseModels({ m: { connector: 'fake', model: 'real-m', kind: 'embed', ...pool } }, 'test'),
    connectors: new Map([['fake', connector]]),
    metrics: createMetrics(),
    logger: quiet,
    canaryIntervalMs: 60_000,
    discovery,
  });
  opened.push(pools);
  return pools.get('m');
}

const { signal } = new AbortController();

describe('a pool that is identified before its first search has ended', () => {
  it('is so once its servers are found', async () => {
    const servers = file('servers.json', JSON.stringify([{ url: 'a', device: 'd' }]));
    expect(await searching({ discover: { file: servers } }).identity(signal)).toBe('fake/real-m@weights-1');
  });

  it('says why there are none where the search fails or finds none', async () => {
    const none = searching({ discover: { file: file('none.json', '[]') } });
    await expect(none.identity(signal)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'endpoints of m: no server has been found',
    });
    const failing = searching({ discover: { file: path.join(folder, 'nowhere.json') } });
    await expect(failing.identity(signal)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/^endpoints of m: .*ENOENT/),
    });
  });

  it('ends its wait with the signal, or when it is closed', async () => {
    const transport = () => new Promise<never>(() => undefined);
    const kubernetes = { api: 'http://x', tokenFile: file('token', 'secret'), transport };
    const pool = searching({ discover: 'kubernetes', endpoints: [{ url: 'http://m', device: 'd' }] }, { kubernetes });
    const stop = new AbortController();
    const stopped = pool.identity(stop.signal);
    stop.abort(new Error('interrupted'));
    await expect(stopped).rejects.toThrow('interrupted');
    const closed = pool.identity(signal);
    pool.close();
    await expect(closed).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
  });
});
