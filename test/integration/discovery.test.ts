import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createConnectors } from '../../activities/connectors/index.js';
import type { DiscoverySettings } from '../../activities/pools/index.js';
import { Pools, parseModels } from '../../activities/pools/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { linkOf } from '../../workers/pool-keys.js';
import { Authority } from '../support/certificates.js';
import { DnsServer } from '../support/dns-server.js';
import { freePort } from '../support/free-port.js';
import { listenAt } from '../support/listen-at.js';
import { address, until } from '../support/runs.js';

const LLM = new URL(address('LLM_BASE_URL'));
const LOADING = JSON.stringify({ error: { code: 503, message: 'Loading model', type: 'unavailable_error' } });

/** Another address of the real LLM server, which forwards to it. */
class Front {
  readonly calls: IncomingMessage[] = [];
  loading = false;
  /** Questions that it has answered while it loaded. */
  looks = 0;
  readonly server: Server;

  constructor(secure?: { readonly cert: string; readonly key: string; readonly ca: string }) {
    const listen = (incoming: IncomingMessage, response: ServerResponse) => this.#forward(incoming, response);
    this.server = secure
      ? (createSecureServer({ ...secure, requestCert: true, rejectUnauthorized: true }, listen) as unknown as Server)
      : createServer(listen);
  }

  listen(host: string, port = 0): Promise<number> {
    return listenAt(this.server, port, host);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    if (this.loading) {
      this.looks += 1;
      response.writeHead(503, { 'content-type': 'application/json' }).end(LOADING);
      return;
    }
    if (incoming.url === '/v1/chat/completions') this.calls.push(incoming);
    const { method = 'GET', url: path = '/', headers } = incoming;
    const options = { host: LLM.hostname, port: LLM.port, method, path, headers: { ...headers, host: LLM.host } };
    const onward = request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }
}

function poolsOf(pool: object, discovery?: DiscoverySettings) {
  const lines: string[] = [];
  const log = (_: object, text: string) => void lines.push(text);
  const logger = { debug: log, info: log, warn: log, error: log };
  const pools = new Pools({
    models: parseModels({ m: { connector: 'openai', model: 'assistant', kind: 'chat', ...pool } }, 'test'),
    connectors: createConnectors({ linkOf }),
    metrics: createMetrics(),
    logger,
    canaryIntervalMs: 60_000,
    discovery,
    discoveryMs: 100,
  });
  const call = () =>
    pools.get('m').use(
      async (backend, { model, url }, signal) => {
        const reply = await backend.invoke(
          { kind: 'chat', model, with: { maxTokens: 2 }, input: { prompt: 'Hello.' } },
          {
            signal,
            audio: { read: () => never(), write: () => never() },
            checkpoint: () => undefined,
            emit: () => undefined,
          },
        );
        expect(reply.output.text).not.toBe('');
        return url;
      },
      { signal: AbortSignal.timeout(60_000) },
    );
  return { pools, call, lines };
}
function never(): never {
  throw new Error('no audio');
}

describe('two servers behind one name', () => {
  let dns: DnsServer;
  let fronts: Front[];
  let port: number;
  beforeEach(async () => {
    dns = await DnsServer.start();
    fronts = [new Front(), new Front()];
    // Free on both addresses: one that the system has chosen for one may be somebody else's on the other.
    port = await freePort();
    await fronts[0]?.listen('127.0.0.1', port);
    await fronts[1]?.listen('127.0.0.2', port);
  });
  afterEach(async () => {
    dns.stop();
    await Promise.all(fronts.map((front) => front.stop()));
  });

  it('both get calls, under their name; one that leaves gets none, and one that comes does', async () => {
    dns.names.set('llm.test', [{ a: '127.0.0.1' }, { a: '127.0.0.2' }]);
    const endpoints = [{ url: `http://llm.test:${port}/v1`, device: 'cpu' }];
    const { pools, call } = poolsOf({ endpoints, discover: 'dns' }, { dnsServers: [dns.address] });
    const counts = () => fronts.map(({ calls }) => calls.length);
    const eight = () => Promise.all(Array.from({ length: 8 }, call));
    const since = async (act: () => Promise<unknown>) => {
      const before = counts();
      await act();
      return counts().map((count, n) => count - (before[n] ?? 0));
    };
    const endpointsNow = async () => (await pools.reach(AbortSignal.timeout(10_000))).m?.of;
    await call();
    // The first call of each is one that warms it up: it gets others when that one has been answered.
    await until('both get calls', async () => Math.min(...(await since(eight))) >= 2);
    expect(fronts[1]?.calls[0]?.headers.host).toBe(`llm.test:${port}`);
    dns.names.set('llm.test', [{ a: '127.0.0.2' }]);
    await until('the first is gone', async () => (await endpointsNow()) === 1);
    expect(await since(eight)).toEqual([0, 8]);
    // A resolver that fails does not make servers disappear.
    dns.broken = true;
    expect(await since(eight)).toEqual([0, 8]);
    dns.broken = false;
    dns.names.set('llm.test', [{ a: '127.0.0.1' }, { a: '127.0.0.2' }]);
    await until('the first is back', async () => (await endpointsNow()) === 2);
    await until('the first gets calls again', async () => ((await since(eight))[0] ?? 0) >= 2);
    pools.close();
  });

  it('one that loads is not ready, however often it is asked, which is no failure; then it gets calls', async () => {
    dns.names.set('llm.test', [{ a: '127.0.0.1' }, { a: '127.0.0.2' }]);
    const endpoints = [{ url: `http://llm.test:${port}/v1`, device: 'cpu' }];
    const second = fronts[1] as Front;
    second.loading = true;
    const { pools, call, lines } = poolsOf({ endpoints, discover: 'dns' }, { dnsServers: [dns.address] });
    for (let i = 0; i < 3; i++) await call();
    expect(second.calls).toHaveLength(0);
    // One that answers late is away for that look.
    await expect.poll(() => pools.reach(AbortSignal.timeout(10_000))).toEqual({ m: { away: 1, of: 2 } });
    expect(lines.includes('model server is not ready')).toBe(true);
    expect(lines.some((text) => /ejected|cannot be reached/.test(text))).toBe(false);
    // Several times as many as there are attempts of a call, and failures that open a breaker.
    await until('it has been asked often', () => second.looks >= 12);
    await call();
    expect(second.calls).toHaveLength(0);
    expect(lines.some((text) => /ejected|cannot be reached/.test(text))).toBe(false);
    second.loading = false;
    await until('it has had its first call', async () => {
      await pools.reach(AbortSignal.timeout(10_000));
      return second.calls.length > 0;
    });
    await until('it gets calls', async () => {
      await call();
      return second.calls.length > 2;
    });
    pools.close();
  });
});

describe('a server behind TLS with certificates of its own', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-tls-'));
  let front: Front;
  let port: number;
  let client: { readonly cert: string; readonly key: string };
  const ca = path.join(folder, 'ca.pem');
  beforeAll(async () => {
    const authority = Authority.make(folder, 'ca');
    const server = authority.sign('llm.test');
    client = authority.sign('client');
    writeFileSync(ca, readFileSync(authority.cert));
    const [cert, key] = [server.cert, server.key].map((file) => readFileSync(file, 'utf8')) as [string, string];
    front = new Front({ cert, key, ca: readFileSync(ca, 'utf8') });
    port = await front.listen('127.0.0.1');
  });
  afterAll(() => front.stop());

  it('is reached with the pool’s authority, client certificate and headers, under its name', async () => {
    process.env.MILLRACE_TEST_TEAM = 'blue';
    const { pools, call } = poolsOf({
      endpoints: [{ url: `https://127.0.0.1:${port}/v1`, device: 'cpu', serverName: 'llm.test' }],
      tls: { ca, ...client },
      headers: { 'x-team': { env: 'MILLRACE_TEST_TEAM' }, 'x-app': 'test' },
    });
    await call();
    expect(front.calls[0]?.headers).toMatchObject({ 'x-team': 'blue', 'x-app': 'test', host: `llm.test:${port}` });
    pools.close();
  });

  it.each([
    ['without the authority', () => ({ tls: { ...client } })],
    ['without the client’s certificate', () => ({ tls: { ca } })],
  ])('%s it is not reached', async (_, more) => {
    const endpoints = [{ url: `https://127.0.0.1:${port}/v1`, device: 'cpu', serverName: 'llm.test' }];
    const { pools, call } = poolsOf({ endpoints, ...more() });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    pools.close();
  });
});
