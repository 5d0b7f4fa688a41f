import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../../telemetry/metrics.js';
import { endpointFinder, firstServer, withListed, withServers } from '../../../workers/discovery.js';
import { loadModels } from '../../../workers/models.js';
import { openPools } from '../../../workers/pools.js';
import { testSettings } from '../../support/settings.js';

const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-pools-'));
const file = (name: string, content: unknown) => {
  const at = path.join(folder, name);
  writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
  return at;
};

const opened: Server[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A server that answers each request with this. */
async function answering(value: unknown): Promise<number> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(server);
  return (server.address() as AddressInfo).port;
}

/** The settings of a deployment whose one pool is served by the pods of a service: here by a server of the test. */
async function inKubernetes() {
  const model = await answering({ data: [{ id: 'm', root: 'weights' }] });
  const ending = { addresses: ['127.0.0.2'], conditions: { ready: false, terminating: true } };
  const pods = [{ addresses: ['127.0.0.1'] }, ending];
  const api = await answering({ items: [{ endpoints: pods, ports: [{ port: model }] }] });
  const endpoints = [{ url: 'http://llm.models/v1', device: 'gpu0' }];
  const llm = { connector: 'openai', model: 'm', kind: 'chat', endpoints, discover: 'kubernetes' };
  const settings = testSettings({
    MILLRACE_MODELS: file('models.json', { llm }),
    MILLRACE_KUBERNETES_API: `http://127.0.0.1:${api}`,
    MILLRACE_KUBERNETES_TOKEN_FILE: file('token', 'secret'),
  });
  return { settings, url: `http://127.0.0.1:${model}/v1` };
}

const { signal } = new AbortController();

describe('the pools of a process', () => {
  it('find their servers by the settings, and are identified once they have searched', async () => {
    const { settings } = await inKubernetes();
    const pools = await openPools(settings, { metrics: createMetrics(), logger });
    try {
      expect(await pools.get('llm').identity(signal)).toMatch(/^openai\/m@[0-9a-f]{16}$/);
    } finally {
      pools.close();
    }
  });
});

describe('the endpoints of a pool, for a command', () => {
  it('are those that workers find, but for pods that terminate, under the name of their server', async () => {
    const { settings, url } = await inKubernetes();
    const models = await loadModels(settings);
    const server = { url, device: 'gpu0', concurrency: 32, serverName: 'llm.models' };
    expect((await withServers(settings, models, ['llm'], signal)).llm?.endpoints).toEqual([server]);
    expect((await withServers(settings, models, ['other'], signal)).llm?.endpoints).toEqual(models.llm?.endpoints);
    const [pool, find] = [models.llm, endpointFinder(settings)];
    const endpoint = pool?.endpoints[0];
    if (!pool || !endpoint) expect.fail('no pool');
    expect(await firstServer(find, 'llm', pool, endpoint, signal)).toEqual(server);
    // Its address lasts; those of pods do not.
    expect((await withListed(settings, models, ['llm'], signal)).llm).toEqual(pool);
  });

  it('are those that a file lists, also where their address has to last', async () => {
    const servers = [{ url: 'http://a:1/v1', device: 'gpu0', concurrency: 2, serverName: 'a.internal' }];
    const llm = { connector: 'openai', model: 'm', kind: 'chat', discover: { file: file('endpoints.json', servers) } };
    const settings = testSettings({ MILLRACE_MODELS: file('listed.json', { llm }) });
    const models = await loadModels(settings);
    expect((await withServers(settings, models, ['llm'], signal)).llm?.endpoints).toEqual(servers);
    const pool = (await withListed(settings, models, ['llm'], signal)).llm;
    expect(pool?.endpoints).toEqual(servers);
    expect(pool?.discover).toBeUndefined();
  });

  it('cannot be told where the search fails, which is no reason to take them for gone', async () => {
    const llm = { connector: 'openai', model: 'm', kind: 'chat', discover: { file: path.join(folder, 'nowhere') } };
    const settings = testSettings({ MILLRACE_MODELS: file('broken.json', { llm }) });
    await expect(withServers(settings, await loadModels(settings), ['llm'], signal)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/^endpoints of llm: .*ENOENT/),
    });
  });
});
