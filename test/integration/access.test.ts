import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiKey, issueKey } from '../../gateway/index.js';
import type { RunDocument } from '../../runs/document.js';
import { changeKeys } from '../../workers/keys/index.js';
import { decideOver } from '../support/deciding.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog, until } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Two gateways that share a file of keys and a Redis, as users run them. */
const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
/** On a loaded machine Redis may answer late, and each gateway then counts by itself. */
const environment = { MILLRACE_KEYS: file, MILLRACE_REDIS_TIMEOUT_MS: '20000' };
let gateways: [GatewayProcess, GatewayProcess];
const secrets: string[] = [];
const held: { id: string; secret: string }[] = [];

async function keys(...args: string[]): Promise<string> {
  const env = { ...process.env, ...testEnvironment(environment) };
  return (await promisify(execFile)('dist/cli/main.js', ['keys', ...args], { env })).stdout;
}

/** A new key of a tenant. */
async function newKey(more: Partial<ApiKey> & { tenant: string }): Promise<string> {
  const { secret, key } = issueKey({ name: '', permissions: ['run', 'read'], ...more });
  await changeKeys(file, (keys) => [...keys, key], { create: true });
  secrets.push(secret);
  return secret;
}

const ask = (i: 0 | 1, url: string, secret: string, init: RequestInit = {}) =>
  fetch(gateways[i].url + url, { ...init, headers: { authorization: `Bearer ${secret}`, ...init.headers } });

/** A run that waits for a person. */
async function start(i: 0 | 1, secret: string): Promise<{ status: number; code?: string; retryAfter: string | null }> {
  const body = JSON.stringify({ log: new CallLog().file });
  const headers = { 'content-type': 'application/json' };
  const response = await ask(i, '/v1/pipelines/gated/runs', secret, { method: 'POST', body, headers });
  const answer = (await response.json()) as RunDocument & { code?: string };
  if (response.status === 202) held.push({ id: answer.id, secret });
  return {
    status: response.status,
    ...(answer.code && { code: answer.code }),
    retryAfter: response.headers.get('retry-after'),
  };
}

const end = async ({ id, secret }: { id: string; secret: string }) => {
  const headers = { authorization: `Bearer ${secret}` };
  expect((await decideOver(`${gateways[0].url}/v1/runs/${id}`, 'approve', { headers })).status).toBe(202);
};

let agent: string;
let limited: string;
let plain: string;
beforeAll(async () => {
  agent = await newKey({
    tenant: 'acme',
    pipelines: ['gated'],
    permissions: ['run', 'read', 'approve'],
    limits: { runs: 3 },
  });
  limited = await newKey({ tenant: 'slow', limits: { rate: { perSecond: 5 } } });
  plain = await newKey({ tenant: 'slow' });
  gateways = await Promise.all([GatewayProcess.start(environment), GatewayProcess.start(environment)]);
});
afterAll(async () => {
  for (const { id, secret } of held)
    await ask(1, `/v1/runs/${id}/cancel`, secret, { method: 'POST' }).catch(() => undefined);
  await Promise.all(gateways?.map((gateway) => gateway.stop()) ?? []);
});

describe('a key', () => {
  it('opens what it is for, and every gateway drops it when it is revoked', async () => {
    const args = ['--tenant', 'acme', '--pipelines', 'gated,ask', '--name', 'short-lived', '--json'];
    const { id, key } = JSON.parse(await keys('create', ...args)) as { id: string; key: string };
    secrets.push(key);
    for (const i of [0, 1] as const) {
      await until('the key is known', async () => (await ask(i, '/v1/pipelines', key)).ok);
      const { pipelines } = (await (await ask(i, '/v1/pipelines', key)).json()) as { pipelines: { name: string }[] };
      expect(pipelines.map(({ name }) => name).sort()).toEqual(['ask', 'gated']);
    }
    expect(await keys('list')).toMatch(
      new RegExp(`^${id} +active +acme +${id} +gated, ask +run, read +never +short-lived$`, 'm'),
    );
    await keys('revoke', id);
    for (const i of [0, 1] as const)
      await until('the key is refused', async () => (await ask(i, '/v1/pipelines', key)).status === 401);
    expect(await keys('list')).toMatch(new RegExp(`^${id} +revoked`, 'm'));
  });
});

describe('runs at once', () => {
  it('are never more than the key may have, over two gateways, and an end that no gateway saw makes room', async () => {
    const starts = await Promise.all(Array.from({ length: 12 }, (_, i) => start(i % 2 === 0 ? 0 : 1, agent)));
    expect(starts.filter(({ status }) => status === 202)).toHaveLength(3);
    const refused = starts.filter(({ status }) => status !== 202);
    expect(new Set(refused.map((each) => JSON.stringify(each)))).toEqual(
      new Set([JSON.stringify({ status: 429, code: 'TOO_MANY_RUNS', retryAfter: '1' })]),
    );
    // The ones that go on are no obstacle to finding the one that has ended.
    const [, second] = held;
    if (second === undefined) throw new Error('no run was started');
    await end(second);
    await until('there is room again', async () => (await start(1, agent)).status === 202);
    expect((await start(0, agent)).status).toBe(429);
  });

  it('of one key do not count for another', async () => {
    expect((await start(0, plain)).status).toBe(202);
  });
});

describe('a rate', () => {
  it('holds over two gateways, and says what is left', async () => {
    const began = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ask(i % 2 === 0 ? 0 : 1, '/v1/pipelines/gated', limited)),
    );
    const passed = answers.filter(({ status }) => status === 200);
    // The forty lie in two windows of a second, or in more where the machine is slow.
    const windows = Math.floor((performance.now() - began) / 1_000) + 2;
    expect(passed.length).toBeGreaterThanOrEqual(5);
    expect(passed.length).toBeLessThanOrEqual(5 * windows);
    const refused = answers.find(({ status }) => status === 429);
    expect(await refused?.json()).toMatchObject({ code: 'RATE_LIMITED' });
    expect(Object.fromEntries(refused?.headers ?? [])).toMatchObject({
      'retry-after': '1',
      'ratelimit-policy': '"key";q=5;w=1',
      ratelimit: '"key";r=0;t=1',
      'ratelimit-limit': '5',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '1',
    });
    const other = await ask(0, '/v1/pipelines/gated', plain);
    expect([other.status, other.headers.get('ratelimit-policy')]).toEqual([200, '"tenant";q=100;w=1']);
  });
});

it('an address that others can reach is not bound without keys', async () => {
  const bound = GatewayProcess.start({ MILLRACE_GATEWAY_HOST: '0.0.0.0' });
  await expect(bound).rejects.toThrow(
    /INVALID_SETTING: MILLRACE_GATEWAY_HOST: 0\.0\.0\.0 is reachable from other machines/,
  );
});

it('without Redis a gateway limits the runs that it knows of, and no log holds a secret, at its most talkative and however a run ends', async () => {
  const [llmKey, password] = [`sk-${randomUUID()}`, randomUUID()];
  const llm = createServer((_, response) => response.writeHead(401).end('{"error": {"message": "no such key"}}'));
  llm.listen(0, '127.0.0.1');
  await once(llm, 'listening');
  const talkative = {
    ...environment,
    MILLRACE_TASK_QUEUE: `secrets-${randomUUID()}`,
    MILLRACE_LOG_LEVEL: 'trace',
    LLM_BASE_URL: `http://127.0.0.1:${(llm.address() as AddressInfo).port}/v1`,
    LLM_API_KEY: llmKey,
    // Nothing listens there: the connection is lost again and again.
    REDIS_URL: `redis://user:${password}@127.0.0.1:1`,
  };
  const [worker, gateway] = await Promise.all([
    WorkerProcess.start(talkative.MILLRACE_TASK_QUEUE, talkative),
    GatewayProcess.start(talkative),
  ]);
  const whole = gateways;
  try {
    gateways = [gateway, gateway];
    for (let i = 0; i < 3; i++) expect((await start(0, agent)).status).toBe(202);
    expect(await start(0, agent)).toMatchObject({ status: 429, code: 'TOO_MANY_RUNS' });
    await expect.poll(() => gateway.lines('each gateway counts')).toHaveLength(1);
    const headers = { 'x-api-key': plain, 'content-type': 'application/json', prefer: 'wait=50' };
    const body = JSON.stringify({ question: 'Who?' });
    const failed = await fetch(`${gateway.url}/v1/pipelines/ask/runs`, { method: 'POST', headers, body });
    expect(await failed.json()).toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
  } finally {
    gateways = whole;
    await Promise.all([gateway.stop(), worker.kill('SIGTERM')]);
    llm.close();
  }
  const workerLog = await readFile(worker.logFile, 'utf8');
  expect(workerLog).toContain('redis');
  for (const text of [llmKey, password, plain]) {
    expect(gateway.log).not.toContain(text);
    expect(workerLog).not.toContain(text);
  }
});

it('no key is in a log', () => {
  expect(secrets).toHaveLength(4);
  for (const { log } of gateways) for (const secret of secrets) expect(log).not.toContain(secret);
  expect(gateways[0].lines('"path":"/v1/pipelines"').some(({ key }) => key !== undefined)).toBe(true);
});
