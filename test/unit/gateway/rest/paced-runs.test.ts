import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterEach, expect, test } from 'vitest';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { owe } from '../../../support/owing.js';
import { LATE_ONCE } from '../../../support/soonest.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.close());

const MEBIBYTE = 1024 * 1024;
const start = async (name: string, tenant: string) => {
  const headers = { 'content-type': 'application/json', 'millrace-tenant': tenant };
  const url = '/v1/pipelines/greet/runs';
  const response = await gateway.app.inject({ method: 'POST', url, headers, payload: { name } });
  return response.json<RunDocument>().links.self;
};
const read = async (url: string, tenant: string) => {
  const began = performance.now();
  const { statusCode } = await gateway.app.inject({ method: 'GET', url, headers: { 'millrace-tenant': tenant } });
  expect(statusCode).toBe(200);
  return performance.now() - began;
};

test('large runs of a tenant are read at a pace once they are known; others are not', LATE_ONCE, async () => {
  gateway = await testGateway({ maxJsonBytes: 2 * MEBIBYTE }, { pipelines: [greet] });
  const large = await start('x'.repeat(MEBIBYTE), 'acme');
  const [small, other] = [await start('Ada', 'acme'), await start('Ada', 'other')];
  await read(large, 'acme');
  let waits = true;
  const many = Promise.all(Array.from({ length: 10 }, () => read(large, 'acme'))).finally(() => {
    waits = false;
  });
  await read(small, 'acme');
  await read(other, 'other');
  expect(waits).toBe(true);
  // A mebibyte takes an eighth of a second of the tenant’s time: the last of them waits for ten others.
  expect(Math.max(...(await many))).toBeGreaterThan(1_000);
});

const post = (url: string, body: object, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
  });
const call = (method: string, params: object) => ({ jsonrpc: '2.0', id: 1, method, params });

type Ask = (base: string, run: string) => Promise<Response>;
const ASKS: [string, Ask][] = [
  ['the events of a run that has ended', (base, run) => fetch(`${base}/v1/runs/${run}/events`)],
  ['a response of OpenAI’s API', (base, run) => fetch(`${base}/v1/responses/resp_${run}`)],
  ['a task of A2A', (base, run) => post(`${base}/a2a/chat`, call('GetTask', { id: run }), { 'a2a-version': '1.0' })],
  ['a task of MCP', (base, run) => post(`${base}/mcp`, call('tasks/get', { taskId: run }))],
  ['the result of a task of MCP', (base, run) => post(`${base}/mcp`, call('tasks/result', { taskId: run }))],
  ['a report that a cached answer was wrong', (base, run) => post(`${base}/v1/runs/${run}/cache/wrong`, {})],
];

/** The longest of many requests at once for a large run, in milliseconds. */
async function longestOf(ask: Ask, isKnown: boolean, refused = false): Promise<number> {
  gateway = await testGateway({}, { pipelines: [chatModel, greet] as unknown as Pipeline[], placementOf: () => ({}) });
  gateway.temporal.onStart = (run) =>
    run.end({ output: { text: 'x'.repeat(MEBIBYTE), finish: 'stop', toolCalls: [] }, stages: [] });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
  const started = await post(`${base}/v1/responses`, { model: 'chat', input: 'Why?' });
  const { id } = (await started.json()) as { id: string };
  const timed = async () => {
    const began = performance.now();
    const response = await ask(base, id.replace('resp_', ''));
    expect([response.status, (await response.text()).includes('"error":{')]).toEqual([200, refused]);
    return performance.now() - began;
  };
  if (isKnown) await timed();
  // Eight read it where nobody has before.
  return Math.max(...(await Promise.all(Array.from({ length: isKnown ? 10 : 18 }, timed))));
}

test.each(ASKS)('so is %s', async (_, ask) => {
  expect(await longestOf(ask, true)).toBeGreaterThan(1_000);
});

test.each(ASKS)(
  'where nobody has read the run before, others wait for a few who do: %s',
  async (_, ask) => {
    expect(await longestOf(ask, false)).toBeGreaterThan(1_000);
  },
  30_000,
);

test('a task that is asked of another agent has been read all the same', async () => {
  const ask: Ask = (base, run) => post(`${base}/a2a/greet`, call('GetTask', { id: run }), { 'a2a-version': '1.0' });
  expect(await longestOf(ask, true, true)).toBeGreaterThan(1_000);
});

test('so is a run that is asked for as a response of OpenAI’s API, and is none', async () => {
  const pipelines = [chatModel, greet] as unknown as Pipeline[];
  gateway = await testGateway({ maxJsonBytes: 2 * MEBIBYTE }, { pipelines, placementOf: () => ({}) });
  const id = (await start('x'.repeat(MEBIBYTE), 'acme')).split('/').at(-1);
  const ask = async () => {
    const headers = { 'millrace-tenant': 'acme' };
    const { statusCode } = await gateway.app.inject({ method: 'GET', url: `/v1/responses/resp_${id}`, headers });
    expect(statusCode).toBe(404);
  };
  // The first learns how much Temporal sends for it.
  await ask();
  const began = performance.now();
  await Promise.all(Array.from({ length: 10 }, ask));
  expect(performance.now() - began).toBeGreaterThan(1_000);
});

test('a request that is sent again with its key reads the run at a pace, as a document and as events', async () => {
  gateway = await testGateway({}, { pipelines: [greet] });
  gateway.temporal.onStart = (run) => run.end({ output: { name: 'x'.repeat(MEBIBYTE) }, stages: [] });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}/v1/pipelines/greet/runs`;
  const timed = async (accept: string) => {
    const began = performance.now();
    const response = await post(url, { name: 'Ada' }, { accept, 'idempotency-key': 'one', prefer: 'wait=2' });
    expect([response.status, (await response.text()).length > MEBIBYTE]).toEqual([200, true]);
    return performance.now() - began;
  };
  // The first starts it, the second learns how large it is.
  for (let n = 0; n < 2; n++) await timed('application/json');
  const accepts = ['application/json', 'text/event-stream'].flatMap((accept) => Array<string>(5).fill(accept));
  expect(Math.max(...(await Promise.all(accepts.map(timed))))).toBeGreaterThan(1_000);
});

test('cancellations count, and so do decisions that are sent again', async () => {
  gateway = await testGateway({ maxJsonBytes: 2 * MEBIBYTE }, { pipelines: [greet] });
  const large = await start('x'.repeat(MEBIBYTE), 'acme');
  const act = async (what: string, payload: object) => {
    const headers = { 'content-type': 'application/json', 'millrace-tenant': 'acme' };
    const { statusCode } = await gateway.app.inject({ method: 'POST', url: `${large}/${what}`, headers, payload });
    expect(statusCode).toBe(202);
  };
  // What they count is owed from the first one on, however long they take.
  const began = performance.now();
  await Promise.all(Array.from({ length: 15 }, () => act('cancel', {})));
  await read(large, 'acme');
  expect(performance.now() - began).toBeGreaterThan(900);
  const { workflow } = gateway.temporal.client;
  const { getHandle } = workflow;
  // Temporal answers the same decision after the end of the run too.
  workflow.getHandle = ((id: string) => ({ ...getHandle(id), executeUpdate: async () => undefined })) as never;
  gateway.temporal.only().end({ output: {}, stages: [] });
  const decided = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => act('approve', { nonce: 'one' })));
  expect(performance.now() - decided).toBeGreaterThan(1_000);
}, 30_000);

test.each([
  ['input', MEBIBYTE, 0],
  ['record', 1, 2 * MEBIBYTE],
])(
  'so is a run with a large %s that is resumed, also where that is refused each time',
  { ...LATE_ONCE, timeout: 30_000 },
  async (_, input, ofRecord) => {
    const record = { succeeded: new Map<string, number>(), gaps: 1 };
    const summary = async (_run: string, _ageMs: number, read?: (bytes: number) => void) => {
      read?.(ofRecord);
      return record;
    };
    const records = { summary, holdEarlier: async () => [], hold: async () => true };
    gateway = await testGateway({ maxJsonBytes: 2 * MEBIBYTE }, { pipelines: [greet], records });
    const large = await start('x'.repeat(input), 'acme');
    const other = await start('x'.repeat(input), 'other');
    for (const run of gateway.temporal.runs.values())
      run.end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details: [{ stages: [] }] }));
    const service = gateway.temporal.client.workflow.workflowService as unknown as Record<
      string,
      (given: never) => unknown
    >;
    const history = service.getWorkflowExecutionHistory;
    const readings = { now: 0, most: 0 };
    service.getWorkflowExecutionHistory = async (given) => {
      readings.now += 1;
      readings.most = Math.max(readings.most, readings.now);
      await sleep(20);
      readings.now -= 1;
      return history?.(given);
    };
    const resume = async (run: string, tenant: string) => {
      const began = performance.now();
      const headers = { 'content-type': 'application/json', 'millrace-tenant': tenant };
      const response = await gateway.app.inject({ method: 'POST', url: `${run}/resume`, headers, payload: {} });
      expect(response.json<{ code: string }>().code).toBe('RECORD_INCOMPLETE');
      return performance.now() - began;
    };
    let waits = true;
    const many = Promise.all(Array.from({ length: 12 }, () => resume(large, 'acme'))).finally(() => {
      waits = false;
    });
    await resume(other, 'other');
    expect(waits).toBe(true);
    // Two mebibytes take a quarter of a second of the tenant’s time: Temporal sends the input with the notes too.
    expect(Math.max(...(await many))).toBeGreaterThan(1_000);
    // Those of the first eight, and of the other tenant.
    expect(readings.most).toBeLessThanOrEqual(9);
  },
);

test('a response is cancelled whatever the tenant owes, and shown then', async () => {
  gateway = await testGateway({}, { pipelines: [chatModel, greet] as unknown as Pipeline[], placementOf: () => ({}) });
  const send = async (url: string, payload?: object) =>
    await gateway.app.inject({
      method: payload ? 'POST' : 'GET',
      url,
      headers: { 'content-type': 'application/json' },
      ...(payload && { payload }),
    });
  const started = await send('/v1/responses', { model: 'chat', input: 'Why?', background: true });
  const { id } = started.json<{ id: string }>();
  owe(gateway.deps, 'default', 15);
  expect((await send(`/v1/responses/${id}`)).statusCode).toBe(429);
  const cancelled = send(`/v1/responses/${id}/cancel`, {});
  await expect.poll(() => gateway.temporal.sent).toEqual([['cancel']]);
  gateway.temporal.only().end(new CancelledFailure('cancelled'));
  const response = await cancelled;
  expect([response.statusCode, response.json<{ status: string }>().status]).toEqual([200, 'cancelled']);
}, 30_000);

test('a run that is no response is not read to say so', async () => {
  gateway = await testGateway({}, { pipelines: [chatModel, greet] as unknown as Pipeline[], placementOf: () => ({}) });
  gateway.temporal.onStart = (run) => run.end({ output: { name: 'x'.repeat(MEBIBYTE) }, stages: [] });
  const self = await start('Ada', 'acme');
  const { workflow } = gateway.temporal.client;
  const { getHandle } = workflow;
  let read = 0;
  workflow.getHandle = ((id: string) => ({
    ...getHandle(id),
    result: () => {
      read += 1;
      return getHandle(id).result();
    },
  })) as never;
  const url = self.replace('/v1/runs/', '/v1/responses/resp_');
  const { statusCode } = await gateway.app.inject({ method: 'GET', url, headers: { 'millrace-tenant': 'acme' } });
  expect([statusCode, read]).toEqual([404, 0]);
});
