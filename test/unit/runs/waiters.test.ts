import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

type AnyCall = (...given: unknown[]) => Promise<unknown>;

/** Clients that wait for one run, beside the one that has started it. */
const OTHERS = 20;

let gateway: TestGateway;
let base: string;
/** Readings of the run. Each takes a while, so that those at the same time can be seen. */
let readings = 0;
let starts = 0;
beforeEach(async () => {
  gateway = await testGateway({ maxWaitMs: 60_000 });
  readings = 0;
  starts = 0;
  const { workflow } = gateway.temporal.client;
  const service = workflow.workflowService as unknown as Record<'getWorkflowExecutionHistory', AnyCall>;
  const history = service.getWorkflowExecutionHistory;
  service.getWorkflowExecutionHistory = async (...given) => {
    readings += 1;
    await sleep(50);
    return await history(...given);
  };
  const starter = workflow as unknown as Record<'start', AnyCall>;
  const { start } = starter;
  starter.start = async (...given) => {
    starts += 1;
    return await start(...given);
  };
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
});
afterEach(() => gateway.close());

/** All wait for one run, by its idempotency key. */
async function waitForOne(waitS: number, end?: AbortSignal): Promise<Promise<Response>[]> {
  const ask = () =>
    fetch(`${base}/v1/pipelines/greet/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'one', prefer: `wait=${waitS}` },
      body: JSON.stringify({ name: 'Ada' }),
      ...(end && { signal: end }),
    });
  const first = ask();
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
  const others = Array.from({ length: OTHERS }, ask);
  await expect.poll(() => starts).toBe(1 + OTHERS);
  const all = [first, ...others];
  for (const each of all) each.catch(() => undefined);
  return all;
}

test('clients that leave a run at once cost Temporal no reading of it', async () => {
  const left = new AbortController();
  await waitForOne(60, left.signal);
  await sleep(50);
  left.abort();
  await expect.poll(() => gateway.lines.filter(({ code }) => code === 'REQUEST_ABORTED').length).toBe(1 + OTHERS);
  await sleep(100);
  expect(readings).toBe(0);
});

test('the end of a run is read once for all who wait for one that was there before them', async () => {
  const all = await waitForOne(60);
  await sleep(50);
  gateway.temporal.only().end({ output: { name: 'Ada' }, stages: [] });
  const responses = await Promise.all(all);
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  const documents = await Promise.all(responses.map((response) => response.json() as Promise<object>));
  expect(documents).toEqual(documents.map(() => expect.objectContaining({ output: { name: 'Ada' } })));
  expect(readings).toBe(1);
});

test('a run that goes on after the wait is read together by those whose wait is over', async () => {
  const all = await waitForOne(1);
  const responses = await Promise.all(all);
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([202]));
  // One that comes while a reading is under way shares the next.
  expect(readings).toBeLessThan(OTHERS / 2);
});
