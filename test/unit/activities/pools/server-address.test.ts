import { describe, expect, it } from 'vitest';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { serverAddress } from '../../../../activities/pools/server-address.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { FakeBackend, openCall, settle } from './fakes.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

describe('the address of a server', () => {
  it.each([
    ['http://gpu1/v1', ['HTTP://GPU1/v1', 'http://gpu1:80/v1', 'http://gpu1/v1/', 'http://Gpu1:80/v1//']],
    ['https://gpu1/v1', ['https://gpu1:443/v1', 'https://GPU1:443/v1/']],
    ['http://[2001:db8::1]:8000', ['http://[2001:DB8:0::1]:8000/']],
    ['gpu1:8001', ['GPU1:8001', 'gpu1:8001/']],
    ['grpcs://gpu1:443', ['grpcs://GPU1', 'GRPCS://gpu1:443/']],
    ['[2001:db8::1]:8001', ['[2001:DB8::1]:8001']],
    // Of a connector of one's own.
    ['a-name', ['A-name/']],
  ])('%s is that of %j', (one, others) => {
    expect(serverAddress(one)).toBe(one);
    for (const other of others) expect(serverAddress(other)).toBe(one);
  });

  it.each([
    ['http://gpu1/v1', 'http://gpu1/V1'],
    ['http://gpu1/v1', 'https://gpu1/v1'],
    ['http://gpu1:80/v1', 'http://gpu1:8000/v1'],
    ['gpu1:8001', 'grpcs://gpu1:8001'],
    ['gpu1:8001', 'gpu2:8001'],
  ])('%s is not that of %s', (one, other) => {
    expect(serverAddress(one)).not.toBe(serverAddress(other));
  });
});

describe('two pools that spell the address of one server differently', () => {
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['embed']),
    capabilities: new Set<never>(),
    capacity: 'server',
    loadsModels: true,
    check: () => undefined,
    connect: (url) => new FakeBackend(url),
  };
  const poolAt = (url: string, more: object = {}) => ({
    ...{ connector: 'fake', kind: 'embed', model: `model at ${url}` },
    endpoints: [{ url, device: 'gpu1', concurrency: 1 }],
    ...more,
  });

  it('share its slots', async () => {
    const pools = new Pools({
      models: parseModels(
        { a: poolAt('http://gpu1:80/v1/'), b: poolAt('http://GPU1/v1'), c: poolAt('http://gpu2/v1') },
        'test',
      ),
      connectors: new Map([['fake', connector]]),
      metrics: createMetrics(),
      logger: quiet,
      canaryIntervalMs: 15_000,
    });
    const use = (name: string, work: () => Promise<unknown>) =>
      pools.get(name).use(work, { signal: AbortSignal.timeout(10_000) });
    const ran: string[] = [];
    const first = openCall();
    const running = use('a', first.work);
    await settle();
    const waiting = use('b', async () => void ran.push('b'));
    await use('c', async () => void ran.push('c'));
    await settle();
    expect(ran).toEqual(['c']);
    first.end();
    await Promise.all([running, waiting]);
    expect(ran).toEqual(['c', 'b']);
    pools.close();
  });

  it('must agree on the memory that it has for models', () => {
    const load = (of: string) => ({ load: { memory: '1GiB', of } });
    const models = { a: poolAt('gpu1:8001', load('4GiB')), b: poolAt('GPU1:8001', load('8GiB')) };
    expect(() => parseModels(models, 'test')).toThrow(/differs from that of another pool/);
  });
});
