import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Caller } from '../../../runs/caller.js';
import { readPaced } from '../../../runs/paced-runs.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';
import { LATE_ONCE } from '../../support/soonest.js';

const MEBIBYTE = 1024 * 1024;
/** How long each reading takes here, in milliseconds. */
const READING_MS = 50;

/** A run under way whose input has this size, and how many read it at a time. */
async function runOf(bytes: number) {
  const temporal = new FakeTemporal();
  const of = { tenant: 'acme', pipeline: 'chat', version: '1' };
  const memo = { ...of, createdAt: new Date().toISOString(), fingerprint: 'f' };
  const args = [{ prompt: 'x'.repeat(bytes) }, {}];
  await temporal.client.workflow.start('chat', { workflowId: 'chat-1', memo, args } as never);
  const readings = { now: 0, most: 0, total: 0, fail: false };
  const { workflowService } = temporal.client.workflow;
  const service = workflowService as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
  const history = service.getWorkflowExecutionHistory;
  service.getWorkflowExecutionHistory = async (...given) => {
    readings.now += 1;
    readings.total += 1;
    readings.most = Math.max(readings.most, readings.now);
    await sleep(READING_MS);
    readings.now -= 1;
    if (readings.fail) throw grpcError(14, 'unavailable');
    return await history?.(...given);
  };
  const deps = { temporal: temporal.client, uiUrl: () => 'http://ui.test' };
  const read = (caller: Partial<Caller> = {}, acts = false) =>
    readPaced(deps, 'chat-1', { tenant: 'acme', ...caller }, acts);
  const many = (count: number) => Promise.allSettled(Array.from({ length: count }, () => read()));
  return { readings, read, many };
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};

test('of many at once for a large run not read before one reads it, and the others take turns', LATE_ONCE, async () => {
  const { readings, many } = await runOf(MEBIBYTE);
  expect((await many(8)).map(({ status }) => status)).toEqual(Array(8).fill('fulfilled'));
  expect(readings).toMatchObject({ most: 1, total: 8 });
});

test('of many at once for a small run all but the first read it together', LATE_ONCE, async () => {
  const { readings, many } = await runOf(1_000);
  expect(await timed(() => many(50))).toBeLessThan(20 * READING_MS);
  expect(readings.most).toBe(49);
});

test('where the first reading fails, the others read', LATE_ONCE, async () => {
  const { readings, many } = await runOf(1_000);
  readings.fail = true;
  const all = await timed(() => many(50));
  expect(all).toBeLessThan(20 * READING_MS);
  expect(readings.total).toBe(50);
});

test('a caller that may not see the run neither waits nor counts', LATE_ONCE, async () => {
  const { read } = await runOf(MEBIBYTE);
  await read();
  const refused = async () => {
    for (let n = 0; n < 50; n++)
      await expect(read({ pipelines: ['other'] })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  };
  expect(await timed(refused)).toBeLessThan(1_000);
  // The turn of the first reading only.
  expect(await timed(read)).toBeLessThan(1_000);
});

test('a decision waits for no turn while its run goes on, and counts', LATE_ONCE, async () => {
  const { read } = await runOf(MEBIBYTE);
  const decisions = () => Promise.all(Array.from({ length: 10 }, () => read({}, true)));
  expect(await timed(decisions)).toBeLessThan(700);
  expect(await timed(read)).toBeGreaterThan(700);
});
