import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunDocument } from '../../../runs/document.js';
import { RunEnds } from '../../../runs/ends.js';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

type AnyCall = (...given: unknown[]) => Promise<unknown>;

/** Clients that wait for one run, beside the one that has started it. */
const OTHERS = 20;

let gateway: TestGateway;
let base: string;
/** Readings of the run, and what each of them waits for. */
let readings = 0;
let reading: () => Promise<unknown>;
/** How many have begun to wait for the end of a run. */
let waits = 0;
/** What the next who wait get in place of the end of the run. */
let broken: Promise<never> | undefined;
beforeEach(async () => {
  gateway = await testGateway({ maxWaitMs: 60_000 });
  readings = 0;
  reading = () => sleep(50);
  waits = 0;
  broken = undefined;
  const { workflowService } = gateway.temporal.client.workflow;
  const service = workflowService as unknown as Record<'getWorkflowExecutionHistory', AnyCall>;
  const history = service.getWorkflowExecutionHistory;
  service.getWorkflowExecutionHistory = async (...given) => {
    readings += 1;
    await reading();
    return await history(...given);
  };
  const { of } = RunEnds.prototype;
  vi.spyOn(RunEnds.prototype, 'of').mockImplementation(function (this: RunEnds, ...given) {
    waits += 1;
    return broken ?? of.apply(this, given);
  });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await gateway.close();
});

const start = (headers: Readonly<Record<string, string>>, signal?: AbortSignal) =>
  fetch(`${base}/v1/pipelines/greet/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ name: 'Ada' }),
    ...(signal && { signal }),
  });

/** All wait for one run, by its idempotency key. */
async function waitForOne(waitS: number, left?: AbortSignal): Promise<Promise<Response>[]> {
  const ask = () => start({ 'idempotency-key': 'one', prefer: `wait=${waitS}` }, left);
  const first = ask();
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
  const all = [first, ...Array.from({ length: OTHERS }, ask)];
  for (const each of all) each.catch(() => undefined);
  await expect.poll(() => waits).toBe(1 + OTHERS);
  return all;
}

const awaited = async () =>
  (await gateway.deps.registry.getSingleMetric('millrace_awaited_runs')?.get())?.values[0]?.value;

async function documentsOf(all: readonly Promise<Response>[]): Promise<RunDocument[]> {
  const responses = await Promise.all(all);
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  return await Promise.all(responses.map((response) => response.json() as Promise<RunDocument>));
}

test('clients that leave a run at once cost Temporal no reading of it', async () => {
  const left = new AbortController();
  void (await waitForOne(60, left.signal));
  left.abort();
  await expect.poll(() => gateway.lines.filter(({ code }) => code === 'REQUEST_ABORTED').length).toBe(1 + OTHERS);
  await expect.poll(awaited).toBe(0);
  await sleep(100);
  expect(readings).toBe(0);
});

test('the end of a run is read once for all who wait for one that was there before them', async () => {
  const all = await waitForOne(60);
  gateway.temporal.only().end({ output: { name: 'Ada' }, stages: [] });
  const documents = await documentsOf(all);
  expect(documents).toEqual(documents.map(() => expect.objectContaining({ output: { name: 'Ada' } })));
  expect(readings).toBe(1);
});

test('where a run that has ended cannot be read, all who wait get its outcome', async () => {
  const all = await waitForOne(60);
  reading = () => Promise.reject(new Error('Temporal is busy'));
  gateway.temporal.only().end({ output: { name: 'Ada' }, stages: [] });
  const [, ...others] = await documentsOf(all);
  const known = expect.objectContaining({ status: 'succeeded', output: { name: 'Ada' } });
  expect(others).toEqual(others.map(() => known));
  // Nobody here knows when.
  expect(others[0]).not.toHaveProperty('endedAt');
});

test('a run that goes on after the wait is read together by those whose wait is over', async () => {
  let read: () => void = () => undefined;
  reading = () =>
    new Promise<void>((resolve) => {
      read = resolve;
    });
  const all = await waitForOne(2);
  await expect.poll(awaited, { timeout: 10_000 }).toBe(0);
  await expect.poll(() => readings).toBe(1);
  reading = async () => undefined;
  read();
  expect(new Set((await Promise.all(all)).map(({ status }) => status))).toEqual(new Set([202]));
  // Those who came while the first was read share the next.
  expect(readings).toBe(2);
}, 30_000);

test('a run whose end Temporal could not report is read together by its followers', async () => {
  const { id } = (await (await start({})).json()) as RunDocument;
  let fail: (error: Error) => void = () => undefined;
  broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const follow = async () => await (await fetch(`${base}/v1/runs/${id}/events`)).text();
  const followers = Array.from({ length: OTHERS }, follow);
  await expect.poll(() => waits).toBe(OTHERS);
  fail(new Error('Temporal is away'));
  await Promise.all(followers);
  expect(readings).toBe(2);
});
