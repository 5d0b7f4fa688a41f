import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { embed, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunEvent, StageRecord } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { withWaits } from '../../runs/waiting-for.js';
import { eventOf, streamOf } from '../../stores/events/stream.js';
import { address, connect, poolOf, resultOf } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

/* A run whose model has to be loaded first, which takes longer than an attempt may. */

const LOAD_MS = 8_000;
/** The call itself has it too: longer than this process, whose server it asks, stands still. */
const ATTEMPT = '6s';
const QUEUE = 'model-loading';

let client: Client;
let worker: WorkerProcess;
let server: Server;
let loads = 0;
let loaded = false;
/** The load lasts until the test has seen it. */
let seen: () => void = () => undefined;
const untilSeen = new Promise<void>((resolve) => {
  seen = resolve;
});

/** A server of the Open Inference Protocol with its repository extension and one model. */
function answer(url: string): { status?: number; body: unknown } | Promise<{ body: unknown }> {
  if (url === '/v2/repository/index') return { body: [{ name: 'minilm', state: loaded ? 'READY' : 'UNAVAILABLE' }] };
  if (url === '/v2/repository/models/minilm/load') {
    loads += 1;
    return Promise.all([sleep(LOAD_MS), untilSeen]).then(() => {
      loaded = true;
      return { body: {} };
    });
  }
  if (!loaded) return { status: 404, body: { error: 'Model minilm not found' } };
  if (url !== '/v2/models/minilm/infer') return { body: { name: 'minilm', versions: [], inputs: [], outputs: [] } };
  return { body: { outputs: [{ name: 'EMBEDDING', datatype: 'FP32', shape: [1, 3], data: [1, 0, 0] }] } };
}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    request.resume();
    const { status = 200, body }: { status?: number; body: unknown } = await answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-loading-')), 'models.json');
  const minilm = { connector: 'oip-rest', kind: 'embed', model: 'minilm', endpoints: [{ url, device: 'cpu0' }] };
  writeFileSync(file, JSON.stringify({ minilm: { ...minilm, load: { memory: '100MiB', of: '200MiB' } } }));
  [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE, { MILLRACE_MODELS: file })]);
});
afterAll(async () => {
  await worker?.kill('SIGTERM');
  server.close();
  await client.connection.close();
});

it('waits without using an attempt or its time, and says that it loads', async () => {
  const { name, plan }: Pipeline = pipeline(
    'loads-first',
    { input: z.object({ text: z.string() }) },
    ({ input, stage }) => ({
      vector: stage(
        'embed',
        embed({ model: 'minilm' }),
        { text: input.text },
        { retry: { attempts: 1 }, timeout: { attempt: ATTEMPT } },
      ).embedding,
    }),
  ) as Pipeline;
  const run = await client.workflow.start(name, {
    taskQueue: QUEUE,
    workflowId: `loads-first-${Date.now()}`,
    args: [{ text: 'one' }, { plan, placement: place(plan, poolOf, QUEUE), tenant: 'default', events: true }],
  });
  const shown = async () => {
    const rows = await withWaits(client, await run.describe(), await run.query<readonly StageRecord[]>('stages'));
    return rows[0]?.doing;
  };
  await expect.poll(shown).toBe('loading minilm');
  const [pending] = (await run.describe()).raw.pendingActivities ?? [];
  expect(pending?.lastFailure?.message).toMatch(/^loading minilm: minilm at /);
  seen();
  const { stages, output } = await resultOf(run);
  expect(output).toEqual({ vector: [1, 0, 0] });
  expect(stages[0]).toMatchObject({ status: 'done', attempt: 1 });
  expect(loads).toBe(1);
  const told = async () => (await eventsOf(run.workflowId)).at(-1)?.type;
  await expect.poll(told).toBe('stage.finished');
  const events = await eventsOf(run.workflowId);
  expect(events.map(({ type }) => type)).toEqual(['stage.started', 'stage.loading', 'stage.finished']);
  expect(events[1]).toMatchObject({ stage: 'embed', model: 'minilm' });
});

async function eventsOf(run: string): Promise<readonly RunEvent[]> {
  const redis = new Redis(address('REDIS_URL'));
  const entries = await redis.xrange(streamOf(run), '-', '+');
  redis.disconnect();
  return entries.map(([, fields]) => eventOf(fields[1]));
}
