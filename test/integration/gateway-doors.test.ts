import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunDocument } from '../../runs/document.js';
import { decideOver } from '../support/deciding.js';
import { freePort } from '../support/free-port.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog } from '../support/runs.js';
import { allEvents } from '../support/sse.js';
import { WorkerProcess } from '../support/worker-process.js';

const SECRET = 'the-secret-of-the-proxy-in-these-tests';

describe('behind a proxy that authenticates', () => {
  const FOLLOWERS = 400;
  let gateway: GatewayProcess;
  let grpcPort: number;
  const headers = (tenant: string, user?: string) => ({
    'content-type': 'application/json',
    'millrace-proxy-secret': SECRET,
    'millrace-tenant': tenant,
    ...(user !== undefined && { 'millrace-user': user }),
  });
  const proxy = { MILLRACE_PROXY_AUTHENTICATES: 'yes', MILLRACE_PROXY_SECRET: SECRET };
  beforeAll(async () => {
    grpcPort = await freePort();
    gateway = await GatewayProcess.start({
      ...proxy,
      MILLRACE_KSERVE_GRPC_PORT: String(grpcPort),
      MILLRACE_TENANT_STREAMS: String(FOLLOWERS),
      MILLRACE_TENANT_RATE: '0',
    });
  });
  afterAll(() => gateway.stop());

  it('nobody is let in without the secret and a tenant, by HTTP or beside it', async () => {
    const status = async (given: Record<string, string>) =>
      (await fetch(`${gateway.url}/v1/pipelines`, { headers: given })).status;
    expect(await status(headers('acme'))).toBe(200);
    const { 'millrace-tenant': _, ...nameless } = headers('acme');
    const { 'millrace-proxy-secret': __, ...unproven } = headers('acme');
    expect([await status(nameless), await status(unproven), await status({})]).toEqual([401, 401, 401]);
    const [error] = (await once(connectTo(grpcPort, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('many who follow one run cost Temporal one long poll, their tenant has its bound, and the decision is signed', async () => {
    const post = async (path: string, body: object, more: Record<string, string>) =>
      await fetch(`${gateway.url}${path}`, { method: 'POST', headers: more, body: JSON.stringify(body) });
    const started = await post('/v1/pipelines/gated/runs', { log: new CallLog().file }, headers('acme'));
    const { id } = (await started.json()) as RunDocument;
    const follow = () => fetch(`${gateway.url}/v1/runs/${id}/events`, { headers: headers('acme') });
    const followers = await Promise.all(Array.from({ length: FOLLOWERS }, follow));
    expect(new Set(followers.map(({ status }) => status))).toEqual(new Set([200]));
    const refused = await follow();
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([429, 'TOO_MANY_STREAMS']);
    const metric = async (name: string) => {
      const monitoring = { ...headers('acme'), 'millrace-permissions': 'metrics' };
      const text = await (await fetch(`${gateway.url}/metrics`, { headers: monitoring })).text();
      return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
    };
    await expect.poll(() => metric('millrace_temporal_long_polls'), { timeout: 60_000 }).toBe(1);
    expect(await metric('millrace_awaited_runs')).toBe(1);
    const body = { log: new CallLog().file, ms: 1 };
    const bystander = await post('/v1/pipelines/three-steps/runs', body, { ...headers('other'), prefer: 'wait=50' });
    expect(bystander.status).toBe(200);
    const boss = { path: 'sign-off', by: 'the boss', headers: headers('acme', 'ada@acme.example') };
    expect((await decideOver(`${gateway.url}/v1/runs/${id}`, 'approve', boss)).status).toBe(202);
    const all = await Promise.all(followers.map(allEvents));
    const actor = 'user:ada@acme.example';
    const decision = { path: 'sign-off', approved: true, by: 'the boss', actor };
    for (const events of all) {
      const decided = events.find(({ event }) => event === 'stage.decided');
      expect(JSON.parse(decided?.data ?? '{}')).toMatchObject(decision);
      const run = JSON.parse(events.at(-1)?.data ?? '{}') as RunDocument;
      expect([run.status, run.stages?.[0]?.decisions]).toMatchObject(['succeeded', [decision]]);
    }
    await expect.poll(() => metric('millrace_temporal_long_polls'), { timeout: 60_000 }).toBe(0);
    expect((await follow()).status).toBe(200);
  });
});

it('tells when no worker polls, and when model servers are away', async () => {
  const taskQueue = `readiness-${randomUUID()}`;
  const gateway = await GatewayProcess.start({ MILLRACE_TASK_QUEUE: taskQueue });
  const ready = async () => {
    const response = await fetch(`${gateway.url}/readyz`);
    const { status, degraded } = (await response.json()) as {
      status: string;
      degraded: { part: string; message: string }[];
    };
    return { status: `${response.status} ${status}`, missing: degraded.map(({ part }) => part), degraded };
  };
  let worker: WorkerProcess | undefined;
  try {
    const alone = { status: '200 degraded', missing: ['workers', 'models', 'code'] };
    await expect.poll(ready, { timeout: 60_000 }).toMatchObject(alone);
    worker = await WorkerProcess.start(taskQueue);
    await expect.poll(async () => (await ready()).status, { timeout: 60_000, interval: 500 }).toBe('200 ready');
    await worker.kill('SIGTERM');
    worker = await WorkerProcess.start(taskQueue, { TRITON_URL: '127.0.0.1:1' });
    // Until its first report it is a worker that has reported nothing.
    const named = async () =>
      (await ready()).degraded.map(({ part, message }) => ({
        part,
        whisper: message.includes('whisper (1 of 1 endpoints do not answer)'),
        // Away for one report where it answers late.
        assistant: message.includes('assistant'),
      }));
    await expect
      .poll(named, { timeout: 60_000, interval: 500 })
      .toEqual([{ part: 'models', whisper: true, assistant: false }]);
    await worker.kill();
    const gone = 'no worker has reported on its model servers for 15 s';
    await expect
      .poll(async () => (await ready()).degraded.find(({ part }) => part === 'models')?.message, { timeout: 90_000 })
      .toBe(gone);
  } finally {
    await worker?.kill();
    await gateway.stop();
  }
}, 400_000);
