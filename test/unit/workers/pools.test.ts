import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../../telemetry/metrics.js';
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
  const api = await answering({ items: [{ endpoints: [{ addresses: ['127.0.0.1'] }], ports: [{ port: model }] }] });
  const endpoints = [{ url: 'http://llm.models/v1', device: 'gpu0' }];
  const llm = { connector: 'openai', model: 'm', kind: 'chat', endpoints, discover: 'kubernetes' };
  const settings = testSettings({
    MILLRACE_MODELS: file('models.json', { llm }),
    MILLRACE_KUBERNETES_API: `http://127.0.0.1:${api}`,
    MILLRACE_KUBERNETES_TOKEN_FILE: file('token', 'secret'),
  });
  return settings;
}

const { signal } = new AbortController();

describe('the pools of a process', () => {
  it('find their servers by the settings, and are identified once they have searched', async () => {
    const settings = await inKubernetes();
    const pools = await openPools(settings, { metrics: createMetrics(), logger });
    try {
      expect(await pools.get('llm').identity(signal)).toMatch(/^openai\/m@[0-9a-f]{16}$/);
    } finally {
      pools.close();
    }
  });
});
