import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

/** A server of jobs that calls the gateway when a job has ended. Questions are an hour apart: only its call ends a wait in time. */

const HOUR_MS = 3_600_000;
const queue = `job-callbacks-${randomUUID()}`;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-callbacks-'));

let callback = '';
let submitted = 0;
let questions = 0;
let ended = false;
const jobs = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  response.setHeader('content-type', 'application/json');
  if (request.method === 'POST') {
    submitted += 1;
    callback = (JSON.parse(Buffer.concat(chunks).toString()) as { notify: string }).notify;
    return response.end('{"id":"j1"}');
  }
  questions += 1;
  response.end(JSON.stringify(ended ? { state: 'done', scores: { yes: 1, no: 0 } } : { state: 'running' }));
});

let settings: Record<string, string>;
let temporal: Client;
let gateway: GatewayProcess;
let worker: WorkerProcess;
let client: MillraceClient;

beforeAll(async () => {
  await new Promise<void>((resolve) => jobs.listen(0, '127.0.0.1', resolve));
  const models = path.join(folder, 'models.json');
  const pool = {
    connector: 'http',
    kind: 'classify',
    model: 'm',
    endpoints: [{ url: `http://127.0.0.1:${(jobs.address() as AddressInfo).port}`, device: 'hosted' }],
    options: {
      request: { path: '/jobs', json: { text: '$/input/text', notify: '$/call/callback' } },
      job: {
        id: '$/body/id',
        poll: { method: 'GET', path: '/jobs/{/job}' },
        everyMs: HOUR_MS,
        done: { at: '/body/state', is: 'done' },
        callback: true,
      },
      response: { output: { scores: '$/body/scores' } },
    },
  };
  writeFileSync(models, JSON.stringify({ judge: pool }));
  settings = {
    MILLRACE_MODELS: models,
    MILLRACE_PIPELINES: 'test/fixtures/judged.mjs',
    MILLRACE_TASK_QUEUE: queue,
  };
  gateway = await GatewayProcess.start(settings);
  settings.MILLRACE_PUBLIC_URL = gateway.url;
  [temporal, worker] = await Promise.all([connect(), WorkerProcess.start(queue, settings)]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
beforeEach(() => {
  [submitted, questions, ended] = [0, 0, false];
});
afterAll(async () => {
  await Promise.all([worker?.kill(), gateway?.stop('SIGKILL')]);
  jobs.closeAllConnections();
  jobs.close();
  await temporal?.connection.close();
  rmSync(folder, { recursive: true });
});

/** A run whose job its server has taken: an attempt that is repeated, since its worker stood still, asks for it once more. */
async function judging(): Promise<string> {
  const { id } = await client.start('judge', { text: 'a mill' });
  await until('the job is asked for', () => questions > 0);
  await until('Temporal knows the job', async () => {
    const [pending] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
    const beat = pending?.heartbeatDetails?.payloads?.[0]?.data ?? [];
    return Buffer.from(beat).toString().includes('"job":"j1"');
  });
  return id;
}

it('ends when its server calls the gateway', async () => {
  const id = await judging();
  expect(callback).toMatch(new RegExp(`^${gateway.url}/v1/callbacks/[\\w-]{43}$`));
  const before = questions;
  ended = true;
  expect((await fetch(callback, { method: 'POST', body: '{}' })).status).toBe(204);
  expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { label: 'yes' } });
  expect([submitted, questions - before]).toEqual([1, 1]);
  // The job has ended: nobody waits at its address.
  await until('the address is gone', async () => (await fetch(callback, { method: 'POST' })).status === 404);
});

it('is asked for again when its server calls again', async () => {
  const id = await judging();
  const before = questions;
  expect((await fetch(callback, { method: 'POST' })).status).toBe(204);
  await until('the first call is heard', () => questions > before);
  ended = true;
  expect((await fetch(callback, { method: 'POST' })).status).toBe(204);
  expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { label: 'yes' } });
  expect(submitted).toBe(1);
});

it('ends at another worker, which was not there when the server called', async () => {
  const id = await judging();
  await worker.kill();
  ended = true;
  expect((await fetch(callback, { method: 'POST' })).status).toBe(204);
  worker = await WorkerProcess.start(queue, settings);
  expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { label: 'yes' } });
  expect(submitted).toBe(1);
});

it('a call at an address that nobody waits at is refused', async () => {
  const answer = await fetch(`${gateway.url}/v1/callbacks/${'a'.repeat(43)}`, { method: 'POST', body: '{}' });
  expect(answer.status).toBe(404);
});
