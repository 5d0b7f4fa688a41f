import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DiscoverySettings, discoveryOf } from '../../../../activities/pools/discovery/index.js';
import { type EndpointConfig, type PoolConfig, parseModels } from '../../../../activities/pools/models.js';
import { DnsServer } from '../../../support/dns-server.js';

const signal = new AbortController().signal;

function pool(discover: unknown, url = 'http://llm.test:8000/v1', more: object = {}): PoolConfig {
  const endpoints = typeof discover === 'object' ? [] : [{ url, device: 'gpu', concurrency: 4, ...more }];
  const model = { connector: 'openai', model: 'm', kind: 'chat', endpoints, discover };
  return parseModels({ m: model }, 'test').m as PoolConfig;
}

async function found(config: PoolConfig, settings: DiscoverySettings): Promise<readonly EndpointConfig[]> {
  return (await discoveryOf(config, settings)?.(config, signal)) ?? [];
}

describe('by DNS', () => {
  let dns: DnsServer;
  beforeEach(async () => {
    dns = await DnsServer.start();
  });
  afterEach(() => dns.stop());
  const settings = () => ({ dnsServers: [dns.address] });
  const urls = async (config: PoolConfig) => (await found(config, settings())).map(({ url }) => url);

  it('every address of a name is an endpoint of its own, which keeps the name', async () => {
    dns.names.set('llm.test', [{ a: '10.0.0.2' }, { a: '10.0.0.1' }]);
    expect(await found(pool('dns'), settings())).toEqual([
      { url: 'http://10.0.0.1:8000/v1', device: 'gpu', concurrency: 4, serverName: 'llm.test' },
      { url: 'http://10.0.0.2:8000/v1', device: 'gpu', concurrency: 4, serverName: 'llm.test' },
    ]);
  });

  it.each([
    ['llm.test:8001', '10.0.0.1:8001'],
    ['grpcs://llm.test:8001', 'grpcs://10.0.0.1:8001'],
    ['https://llm.test/a/v1', 'https://10.0.0.1/a/v1'],
    ['http://192.168.0.1:80/v1', 'http://192.168.0.1:80/v1'],
    ['http://[::1]:80/v1', 'http://[::1]:80/v1'],
  ])('the address %s becomes %s', async (url, expected) => {
    dns.names.set('llm.test', [{ a: '10.0.0.1' }]);
    expect(await urls(pool('dns', url))).toEqual([expected]);
  });

  it('a name without records has no endpoints; a resolver that fails says nothing', async () => {
    expect(await urls(pool('dns'))).toEqual([]);
    dns.broken = true;
    await expect(urls(pool('dns'))).rejects.toThrow(/SERVFAIL/);
  });

  it('the system’s resolver is asked by default', async () => {
    const hosts = (await found(pool('dns', 'http://localhost:1/v1'), {})).map(({ url }) => url);
    expect(hosts).toContain('http://127.0.0.1:1/v1');
  });

  it('an SRV record states ports and weights; only the first priority counts', async () => {
    dns.names.set('_llm._tcp.test', [
      { srv: 'a.test', port: 8001, priority: 1, weight: 3 },
      { srv: 'b.test', port: 8002, priority: 1, weight: 0 },
      { srv: 'c.test', port: 8003, priority: 2, weight: 1 },
    ]);
    for (const [i, name] of ['a', 'b', 'c'].entries()) dns.names.set(`${name}.test`, [{ a: `10.0.0.${i + 1}` }]);
    const endpoints = await found(pool('srv', 'http://_llm._tcp.test/v1'), settings());
    expect(endpoints.map(({ url, weight, serverName }) => [url, weight, serverName])).toEqual([
      ['http://10.0.0.1:8001/v1', 3, 'a.test'],
      ['http://10.0.0.2:8002/v1', 0.01, 'b.test'],
    ]);
  });
});

describe('by a file', () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'endpoints.json');

  it('the endpoints are those that it lists now', async () => {
    const endpoint = { url: 'http://a/v1', device: 'gpu', weight: 2, zone: 'z', draining: true };
    writeFileSync(file, JSON.stringify([endpoint]));
    expect(await found(pool({ file }), {})).toEqual([{ ...endpoint, concurrency: 32 }]);
    writeFileSync(file, '[]');
    expect(await found(pool({ file }), {})).toEqual([]);
  });

  it('a file that is half written, wrong or absent changes nothing', async () => {
    writeFileSync(file, '[{"url": "http:');
    await expect(found(pool({ file }), {})).rejects.toThrow();
    writeFileSync(file, '[{"url": "http://a/v1"}]');
    await expect(found(pool({ file }), {})).rejects.toMatchObject({ code: 'INVALID_SETTING' });
    await expect(found(pool({ file: `${file}.none` }), {})).rejects.toThrow(/ENOENT/);
  });
});

// No Kubernetes runs here: a fixture answers as its API server is documented to.
describe('by Kubernetes (a fixture of its API server)', () => {
  const asked: string[] = [];
  let status = 200;
  let items: unknown[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.headers.authorization} ${request.url}`);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ items }));
  });
  const tokenFile = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'token');
  writeFileSync(tokenFile, 'secret\n');
  let settings: DiscoverySettings = {};
  beforeEach(async () => {
    asked.length = 0;
    status = 200;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    settings = { kubernetes: { api, tokenFile, transport: fetch } };
  });
  afterEach(() => void server.close());

  const slice = (endpoints: unknown[], ports: unknown[] = [{ name: 'http', port: 8000 }]) => ({ endpoints, ports });

  it('the ready pods of a service are endpoints, with their zones; those that end are draining', async () => {
    items = [
      slice([
        { addresses: ['10.1.0.1'], conditions: { ready: true }, zone: 'a' },
        { addresses: ['10.1.0.2'], conditions: { ready: false } },
        { addresses: ['10.1.0.3'], conditions: { ready: false, terminating: true, serving: true } },
      ]),
      slice([{ addresses: ['10.1.0.4'], conditions: {} }]),
    ];
    const endpoints = await found(pool('kubernetes', 'http://vllm.models/v1'), settings);
    expect(endpoints.map(({ url, zone, draining }) => ({ url, zone, draining }))).toEqual([
      { url: 'http://10.1.0.1:8000/v1', zone: 'a', draining: undefined },
      { url: 'http://10.1.0.3:8000/v1', zone: undefined, draining: true },
      { url: 'http://10.1.0.4:8000/v1', zone: undefined, draining: undefined },
    ]);
    expect(asked).toEqual([
      'Bearer secret /apis/discovery.k8s.io/v1/namespaces/models/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dvllm&resourceVersion=0',
    ]);
  });

  it('the port is the URL’s, where pods have several', async () => {
    items = [slice([{ addresses: ['10.1.0.1'] }], [{ port: 8000 }, { port: 9000 }])];
    const ask = (url: string) => found(pool('kubernetes', url), settings);
    expect((await ask('http://vllm.models:9000/v1')).map(({ url }) => url)).toEqual(['http://10.1.0.1:9000/v1']);
    expect(await ask('http://vllm.models:7000/v1')).toEqual([]);
  });

  it('a refusal changes nothing', async () => {
    status = 403;
    await expect(found(pool('kubernetes'), settings)).rejects.toThrow(/HTTP 403/);
    await expect(found(pool('kubernetes'), {})).rejects.toMatchObject({ code: 'INVALID_SETTING' });
  });
});
