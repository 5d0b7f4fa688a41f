import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { partSpec } from '../../../deploy/local/stack/parts.js';
import { serveMetrics } from '../../../workers/http-server.js';
import { testSettings } from '../../support/settings.js';

const DEFAULT = testSettings().MILLRACE_WORKER_METRICS_HOST;

test.each([
  [DEFAULT, '127.0.0.1'],
  ['127.0.0.2', '127.0.0.2'],
  ['0.0.0.0', '0.0.0.0'],
])('metrics and probes are served on %s', async (host, address) => {
  const server = await serveMetrics({ host, port: 0 }, new Registry(), () => true);
  const bound = server.address() as AddressInfo;
  expect(bound.address).toBe(address);
  const at = host === '0.0.0.0' ? '127.0.0.1' : host;
  expect((await fetch(`http://${at}:${bound.port}/readyz`)).status).toBe(200);
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  ['127.0.0.2', 'http://127.0.0.2:7401'],
  ['0.0.0.0', 'http://127.0.0.1:7401'],
  ['::', 'http://127.0.0.1:7401'],
  ['::1', 'http://[::1]:7401'],
])('the stack probes a worker that binds %s', (host, url) => {
  const settings = testSettings({ MILLRACE_WORKER_METRICS_HOST: host, MILLRACE_PORT_BASE: '7400' });
  const { address, probe } = partSpec('worker', settings, {});
  expect(address).toBe(url);
  expect(probe).toEqual({ kind: 'http', url: `${url}/readyz` });
});

test('a port that another worker has is refused by the name of its setting', async () => {
  const serve = (port: number) => serveMetrics({ host: '127.0.0.1', port }, new Registry(), () => true);
  const first = await serve(0);
  const { port } = first.address() as AddressInfo;
  await expect(serve(port)).rejects.toMatchObject({
    code: 'INVALID_SETTING',
    details: {
      fields: [{ field: 'MILLRACE_WORKER_METRICS_PORT', message: expect.stringContaining(`port ${port}`) }],
    },
  });
  await new Promise((resolve) => first.close(resolve));
});
