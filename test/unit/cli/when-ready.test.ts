import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { parseModels } from '../../../activities/pools/index.js';
import { whenReady } from '../../../cli/when-ready.js';
import { freePort } from '../../support/free-port.js';
import { testSettings } from '../../support/settings.js';

const hosts: (string | undefined)[] = [];
/** Whether the server leaves calls without an answer, and how many wait for one. */
let slow = false;
let waiting = 0;
const answer = { data: [{ id: 'm' }], choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }] };
const server = createServer((request, response) => {
  if (request.url === '/v1/chat/completions') hosts.push(request.headers.host);
  if (slow && request.url === '/v1/chat/completions') {
    waiting += 1;
    return void response.on('close', () => {
      waiting -= 1;
    });
  }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
});
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
beforeEach(() => void hosts.splice(0));
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const at = () => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, device: 'gpu0' });
const wait = (pool: object, withinMs = 20_000) => {
  const models = parseModels({ llm: { connector: 'openai', kind: 'chat', model: 'm', ...pool } }, 'test');
  return whenReady(testSettings(), models, ['llm'], withinMs);
};

it('calls each server twice, under its name', async () => {
  await wait({ endpoints: [{ ...at(), serverName: 'llm.internal' }] });
  expect(hosts).toHaveLength(2);
  for (const host of hosts) expect(host).toMatch(/^llm\.internal:/);
});

it('calls the servers that discover finds, and does not take none for ready', async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-ready-')), 'endpoints.json');
  writeFileSync(file, '[]');
  await expect(wait({ discover: { file } }, 1)).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { fields: [{ field: 'llm' }] },
  });
  writeFileSync(file, JSON.stringify([at()]));
  await wait({ discover: { file } });
  expect(hosts).toHaveLength(2);
});

it('leaves no call behind at a server that is slow beside one that is away', async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-ready-')), 'endpoints.json');
  const away = { url: `http://127.0.0.1:${await freePort()}/v1`, device: 'gpu1' };
  writeFileSync(file, JSON.stringify([away, at()]));
  slow = true;
  try {
    await expect(wait({ discover: { file } }, 1_000)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(hosts.length).toBeGreaterThan(0);
    await expect.poll(() => waiting).toBe(0);
  } finally {
    slow = false;
  }
});

it('says at once what is wrong with a pool that cannot be called', async () => {
  const keyed = { endpoints: [at()], apiKey: { env: 'NO_SUCH_KEY' } };
  await expect(wait(keyed)).rejects.toMatchObject({ code: 'INVALID_SETTING' });
});
