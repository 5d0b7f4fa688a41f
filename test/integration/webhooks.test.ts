import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../pipelines/json.js';
import type { Problem } from '../../pipelines/run/document.js';
import { deliveryId, WEBHOOK_WORKFLOW, type WebhookOrder, webhookQueue } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import type { RunDocument } from '../../runs/document.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog, connect, fixtures, poolOf, until } from '../support/runs.js';
import { type Received, WebhookReceiver, webhookSecret, webhookSettings } from '../support/webhook-receiver.js';
import { WorkerProcess } from '../support/worker-process.js';

const queue = `webhooks-${randomUUID()}`;
/** A rotation is under way: both sign. */
const [secret, retiring] = [webhookSecret(), webhookSecret()];
let client: Client;
let receiver: WebhookReceiver;
let settings: Record<string, string>;
let worker: WorkerProcess;
let gateway: GatewayProcess;

beforeAll(async () => {
  receiver = await WebhookReceiver.at(secret);
  settings = await webhookSettings({
    default: { secrets: [secret, retiring] },
    acme: {
      endpoints: {
        audit: { url: `${receiver.url}/audit`, secrets: [secret], pipelines: ['flaky-run'] },
        every: { url: `${receiver.url}/every`, secrets: [secret], pipelines: ['gated'] },
        billing: {
          ...{ url: `${receiver.url}/billing`, secrets: [secret], pipelines: ['gated'] },
          events: ['run.succeeded'],
        },
      },
    },
  });
  [client, worker, gateway] = await Promise.all([
    connect(),
    WorkerProcess.start(queue, settings),
    GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, ...settings }),
  ]);
});
afterAll(async () => {
  await Promise.all([worker.kill(), gateway.stop('SIGKILL'), receiver.down()]);
  await client.connection.close();
});

interface Request {
  /** Of the receiver. */
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** The target; empty for none. */
  readonly url?: string;
}

function post(pipeline: string, input: object, request: Request = {}): Promise<Response> {
  const { path = '', headers = {}, url = `${receiver.url}${path}` } = request;
  const query = url === '' ? '' : `?webhook=${encodeURIComponent(url)}`;
  return fetch(`${gateway.url}/v1/pipelines/${pipeline}/runs${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(input),
  });
}

async function accepted(pipeline: string, input: object, request: Request = {}): Promise<string> {
  const response = await post(pipeline, input, request);
  const document = (await response.json()) as RunDocument;
  expect(response.status, JSON.stringify(document)).toBe(202);
  return document.id;
}

const get = async (id: string) =>
  (await (await fetch(`${gateway.url}/v1/runs/${encodeURIComponent(id)}`)).json()) as RunDocument;
const ended = (id: string) => until(`${id} has ended`, async () => (await get(id)).status !== 'running');
/** Events of a run's end. */
const endsOf = (id: string) => receiver.about(id).filter(({ event }) => event.type !== 'run.waiting');
const delivered = (id: string) => until(`the receiver is told of ${id}`, () => endsOf(id).length > 0);
const nonceOf = (asked?: Received) =>
  ((asked?.event.data.waiting ?? []) as { nonce: string }[]).map(({ nonce }) => nonce).join();
/** Approves what an event says is waiting. */
async function approve(asked?: Received, headers = {}): Promise<void> {
  const { status } = await fetch(`${gateway.url}/v1/runs/${asked?.event.data.id}/approve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ nonce: nonceOf(asked) }),
  });
  expect(status).toBe(202);
}
const quick = (log = new CallLog()) => ({ log: log.file, ms: 1 });

describe('webhooks', () => {
  it('reach a receiver that was down, though worker and gateway are killed in between', async () => {
    const runs: string[] = [];
    for (let i = 0; i < 4; i++) runs.push(await accepted('three-inline-steps', quick(), { path: `/hooks?token=${i}` }));
    const slow = await accepted('three-steps', { log: new CallLog().file, ms: 500 });
    for (const id of runs) await ended(id);
    await Promise.all([worker.kill(), gateway.stop('SIGKILL')]);
    gateway = await GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, ...settings });
    // With no worker there a run is accepted all the same, and is there to be asked for.
    const waiting = await accepted('three-inline-steps', quick());
    expect(await get(waiting)).toMatchObject({ id: waiting, status: 'running', pipeline: 'three-inline-steps' });
    const attended = post('three-inline-steps', quick(), { headers: { prefer: 'wait=50' } });
    await receiver.up();
    await sleep(200);
    expect(receiver.requests).toEqual([]);
    // Longer than the gateway waits for the start of a run.
    await sleep(3_000);
    worker = await WorkerProcess.start(queue, settings);
    const { status, id: later } = (await (await attended).json()) as RunDocument;
    expect(status).toBe('succeeded');
    const all = [...runs, slow, waiting, later];
    for (const id of all) await delivered(id);
    expect(receiver.refused).toEqual([]);
    expect(new Set(receiver.received.map(({ id }) => id))).toEqual(new Set(all.map((id) => `msg_${id}`)));
    expect(receiver.about(runs[2] as string)[0]).toMatchObject({
      path: '/hooks?token=2',
      event: {
        type: 'run.succeeded',
        timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        data: {
          status: 'succeeded',
          tenant: 'default',
          output: { last: 'third' },
          links: { self: `/v1/runs/${runs[2]}` },
        },
      },
    });
    expect(receiver.about(slow)[0]?.event.data).not.toHaveProperty('stages');
  });

  it('are not held up by targets that hang or fail', async () => {
    const requestsTo = (path: string) => receiver.requests.filter((at) => at.startsWith(path)).length;
    for (let i = 0; i < 3; i++) await accepted('three-inline-steps', quick(), { path: `/broken/${i}` });
    await until('the broken ones are asked', () => requestsTo('/broken') >= 3);
    for (let i = 0; i < 10; i++) await accepted('three-inline-steps', quick(), { path: `/hang/${i}` });
    await until('eight attempts hang', () => requestsTo('/hang') >= 8);
    // The host of the hanging ones is the receiver’s own by this name.
    const url = `http://localhost:${receiver.port}/good`;
    const good = async () => {
      const began = performance.now();
      await delivered(await accepted('three-inline-steps', quick(), { url }));
      return performance.now() - began;
    };
    const tookMs = await Promise.all(Array.from({ length: 5 }, good));
    // An attempt that hangs is given up after fifteen seconds: none was waited for.
    expect(Math.min(...tookMs)).toBeLessThan(10_000);
    // No more than eight at once.
    await expect.poll(() => receiver.mostHanging).toBe(8);
  });

  it('tell of a run that failed, was cancelled, terminated, or timed out with nobody to say so', async () => {
    const url = `http://localhost:${receiver.port}/ends`;
    const failing = { log: new CallLog().file, failures: 9, code: 'INVALID_INPUT' };
    const failed = await accepted('flaky-run', failing, { url });
    const waits = () => accepted('gated', { log: new CallLog().file }, { url });
    const [cancelled, terminated] = [await waits(), await waits()];
    expect((await fetch(`${gateway.url}/v1/runs/${cancelled}/cancel`, { method: 'POST' })).status).toBe(202);
    await client.workflow.getHandle(terminated).terminate('by hand');
    const { name, plan } = fixtures.gated;
    const timedOut = `gated-${randomUUID()}`;
    const order: WebhookOrder = {
      tenant: 'default',
      targets: [{ url }],
      queue: webhookQueue(queue),
      of: {
        run: {
          id: timedOut,
          pipeline: name,
          version: plan.version,
          args: [
            { log: new CallLog().file },
            JSON.parse(
              JSON.stringify({ plan, placement: place(plan, poolOf, queue), tenant: 'default' }),
            ) as JsonObject,
          ],
          summary: name,
          memo: {
            tenant: 'default',
            pipeline: name,
            version: plan.version,
            createdAt: new Date().toISOString(),
            fingerprint: '',
          },
          timeoutMs: 1_000,
        },
      },
    };
    await client.workflow.start(WEBHOOK_WORKFLOW, {
      workflowId: deliveryId(timedOut),
      taskQueue: queue,
      args: [order],
    });
    for (const id of [failed, cancelled, terminated, timedOut]) await delivered(id);
    const seen = (id: string) => endsOf(id).map(({ event: { type, data } }) => ({ type, error: data.error }));
    expect(seen(failed)).toEqual([{ type: 'run.failed', error: expect.objectContaining({ code: 'INVALID_INPUT' }) }]);
    expect(seen(cancelled)).toEqual([
      { type: 'run.cancelled', error: expect.objectContaining({ code: 'RUN_CANCELLED' }) },
    ]);
    expect(seen(terminated)).toEqual([
      { type: 'run.failed', error: { code: 'RUN_FAILED', message: expect.stringContaining('terminated') } },
    ]);
    expect(seen(timedOut)).toEqual([
      { type: 'run.failed', error: expect.objectContaining({ code: 'DEADLINE_EXCEEDED' }) },
    ]);
  });

  it('tell of a run that was cancelled before a worker had started it, of which nothing runs', async () => {
    await worker.kill();
    const [log, url] = [new CallLog(), `http://localhost:${receiver.port}/ends`];
    const [id, other] = [
      await accepted('three-inline-steps', quick(log), { url }),
      await accepted('gated', { log: new CallLog().file }, { url }),
    ];
    const cancel = () => fetch(`${gateway.url}/v1/runs/${id}/cancel`, { method: 'POST' });
    expect((await cancel()).status).toBe(202);
    worker = await WorkerProcess.start(queue, settings);
    await delivered(id);
    expect(endsOf(id).map(({ event: { type, data } }) => ({ type, status: data.status }))).toEqual([
      { type: 'run.cancelled', status: 'cancelled' },
    ]);
    const document = await get(id);
    expect(document).toMatchObject({ id, status: 'cancelled', error: { code: 'RUN_CANCELLED' } });
    expect(document.endedAt).toEqual(endsOf(id)[0]?.event.timestamp);
    expect((await cancel()).status, 'it has ended').toBe(409);
    expect(log.lines()).toEqual([]);
    await until(
      'the other one, which nobody has cancelled, waits',
      async () => (await get(other)).waiting?.length === 1,
    );
    expect((await fetch(`${gateway.url}/v1/runs/${other}/cancel`, { method: 'POST' })).status).toBe(202);
    await delivered(other);
  });

  it('end when an operator stops them while a wait is told, and their run goes on', async () => {
    const asked = () => receiver.requests.filter((at) => at.startsWith('/broken/stopped')).length;
    // The targets of a test before hang under the receiver’s other name.
    const url = `http://localhost:${receiver.port}/broken/stopped`;
    const id = await accepted('gated', { log: new CallLog().file }, { url });
    await until('the wait is told', () => asked() > 0);
    const delivery = client.workflow.getHandle(deliveryId(id));
    await delivery.cancel();
    const [wait] = (await get(id)).waiting ?? [];
    const { status } = await fetch(`${gateway.url}/v1/runs/${id}/approve`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nonce: wait?.nonce }),
    });
    expect(status).toBe(202);
    await until('the run has succeeded', async () => (await get(id)).status === 'succeeded');
    await until('the delivery ends', async () => (await delivery.describe()).status.name === 'CANCELLED');
  });

  it('can be sent again, under the same id, signed by both secrets of a rotation', async () => {
    const url = `http://localhost:${receiver.port}/replayed`;
    const id = await accepted('gated', { log: new CallLog().file }, { url });
    const replay = async () => {
      const response = await fetch(`${gateway.url}/v1/runs/${id}/webhooks/replay`, { method: 'POST' });
      return { status: response.status, body: (await response.json()) as Problem & { targets: string[] } };
    };
    expect(await replay()).toMatchObject({ status: 409, body: { code: 'RUN_NOT_ENDED' } });
    // The receiver knows from the webhook alone what is to be decided.
    await until('the wait is told', () => receiver.about(id).length > 0);
    const [asked] = receiver.about(id);
    expect(asked?.event).toMatchObject({
      type: 'run.waiting',
      data: {
        status: 'running',
        pipeline: 'gated',
        waiting: [{ path: expect.any(String), subject: expect.any(String) }],
      },
    });
    expect(asked?.id).toBe(`msg_${id}_${nonceOf(asked)}`);
    await approve(asked);
    await delivered(id);
    expect(await replay()).toMatchObject({
      status: 202,
      body: { event: `msg_${id}`, type: 'run.succeeded', targets: [`localhost:${receiver.port}`] },
    });
    await until('the event has come twice', () => endsOf(id).length === 2);
    const [first, second] = endsOf(id);
    expect(second).toMatchObject({ id: first?.id, body: first?.body });
    for (const key of [secret, retiring]) new Webhook(key).verify(second?.body ?? '', second?.headers ?? {});
    const unsubscribed = await post('three-inline-steps', quick(), { url: '', headers: { prefer: 'wait=50' } });
    const { id: other } = (await unsubscribed.json()) as RunDocument;
    const response = await fetch(`${gateway.url}/v1/runs/${other}/webhooks/replay`, { method: 'POST' });
    expect(await response.json()).toMatchObject({ status: 409, code: 'NO_WEBHOOK' });
  });

  it('go to the endpoints of the tenant; a request waits and repeats as without', async () => {
    const input = { log: new CallLog().file, failures: 0, code: 'INTERNAL' };
    const headers = { 'millrace-tenant': 'acme', prefer: 'wait=50', 'idempotency-key': randomUUID() };
    const first = await post('flaky-run', input, { url: '', headers });
    expect(first.status).toBe(200);
    const { id } = (await first.json()) as RunDocument;
    const again = await post('flaky-run', input, { url: '', headers });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.json()).toMatchObject({ id, status: 'succeeded' });
    await delivered(id);
    expect(receiver.about(id)).toMatchObject([{ path: '/audit', event: { data: { tenant: 'acme' } } }]);
  });

  it('tell an endpoint of the events that it names, and no other', async () => {
    const tenant = { 'millrace-tenant': 'acme' };
    const id = await accepted('gated', { log: new CallLog().file }, { url: '', headers: tenant });
    await until('the wait is told', () => receiver.about(id).length > 0);
    await approve(receiver.about(id)[0], tenant);
    await until('both are told of the end', () => endsOf(id).length === 2);
    const told = receiver.about(id).map(({ path, event: { type } }) => `${path} ${type}`);
    expect(told.sort()).toEqual(['/billing run.succeeded', '/every run.succeeded', '/every run.waiting']);
  });

  it('are refused at the door where nothing could be signed or sent', async () => {
    const headers = { 'millrace-tenant': 'acme' };
    const unsigned = await post('three-inline-steps', quick(), { headers });
    expect(await unsigned.json()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'webhook' }] });
    const unsent = await post('three-inline-steps', quick(), { url: 'ftp://example.com/' });
    expect(await unsent.json()).toMatchObject({ code: 'WEBHOOK_REFUSED', errors: [{ field: 'webhook' }] });
  });
});
