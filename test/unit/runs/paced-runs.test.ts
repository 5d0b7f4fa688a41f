import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { Caller } from '../../../runs/caller.js';
import type { RunDocument } from '../../../runs/document.js';
import { type Paced, pacedRuns, readPaced } from '../../../runs/paced-runs.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';
import { owe } from '../../support/owing.js';
import { LATE_ONCE } from '../../support/soonest.js';

const MEBIBYTE = 1024 * 1024;
/** How long each reading takes here, in milliseconds. */
const READING_MS = 50;
/** Runs of unknown size of one tenant that are read at a time. */
const AT_ONCE = 8;

/** Runs under way whose input has this size, and how many are read at a time. */
async function runsOf(bytes: number, count = 1) {
  const temporal = new FakeTemporal();
  const of = { tenant: 'acme', pipeline: 'chat', version: '1' };
  const memo = { ...of, createdAt: new Date().toISOString(), fingerprint: 'f' };
  const args = [{ prompt: 'x'.repeat(bytes) }, {}];
  for (let n = 0; n < count; n++)
    await temporal.client.workflow.start('chat', { workflowId: `chat-${n}`, memo, args } as never);
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
  const read = (caller: Partial<Caller> = {}, how: Paced = {}, n = 0) =>
    readPaced(deps, `chat-${n}`, { tenant: 'acme', ...caller }, how);
  const many = (times: number, how: Paced = {}) =>
    Promise.allSettled(Array.from({ length: times }, (_, n) => read({}, how, n % count)));
  return { deps, readings, read, many };
}

/** Of a client that has sent many requests. */
function leavingClient(): AbortController {
  const left = new AbortController();
  setMaxListeners(0, left.signal);
  return left;
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};

test('of many large runs that nobody has read before a few are read at a time', async () => {
  const { readings, many } = await runsOf(MEBIBYTE, 100);
  const left = leavingClient();
  const all = many(100, { signal: left.signal });
  await expect.poll(() => readings.total, { timeout: 10_000 }).toBeGreaterThan(9);
  left.abort();
  const refused = (await all).filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  expect(new Set(refused.map(({ reason }) => reason.code))).toEqual(new Set(['REQUEST_ABORTED']));
  expect(readings.most).toBe(AT_ONCE);
});

test('of many at once for a large run not read before a few read it, and the others take turns', async () => {
  const { readings, many } = await runsOf(MEBIBYTE);
  expect((await many(30)).map(({ status }) => status)).toEqual(Array(30).fill('fulfilled'));
  expect(readings.most).toBeLessThanOrEqual(2 * AT_ONCE);
}, 30_000);

test('of many at once for a small run all but the first few read it together', async () => {
  const { readings, many } = await runsOf(1_000);
  await many(100);
  expect(readings.most).toBeGreaterThan(50);
});

test('where readings fail, the others read a few at a time, and none is refused', async () => {
  const { readings, many } = await runsOf(MEBIBYTE);
  readings.fail = true;
  const all = (await many(50)) as PromiseRejectedResult[];
  expect(new Set(all.map(({ reason }) => reason.code))).toEqual(new Set(['ORCHESTRATOR_UNAVAILABLE']));
  expect(readings.total).toBe(50);
  expect(readings.most).toBe(AT_ONCE);
}, 30_000);

test('a small run that was read before waits for nothing until it has ended: it may be large then', async () => {
  const paced = pacedRuns({ temporal: {} as never });
  const readings = Array.from({ length: 20 }, (_, n) => paced.reading(`chat-${n}`, { tenant: 'acme' }));
  for (const reading of readings) reading.read({ status: 'running' } as RunDocument);
  await Promise.all(readings.map((reading) => reading.turn(true)));
  let begun = 0;
  const left = leavingClient();
  for (const reading of readings)
    reading.turn(false, left.signal).then(
      () => {
        begun += 1;
      },
      () => undefined,
    );
  await expect.poll(() => begun).toBeGreaterThan(7);
  expect(begun).toBe(AT_ONCE);
  left.abort();
});

test('a caller that may not see the run neither waits nor counts', LATE_ONCE, async () => {
  const { read } = await runsOf(MEBIBYTE);
  await read();
  const refused = async () => {
    for (let n = 0; n < 50; n++)
      await expect(read({ pipelines: ['other'] })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  };
  expect(await timed(refused)).toBeLessThan(1_000);
  // The turn of the first reading only.
  expect(await timed(read)).toBeLessThan(1_000);
});

test('a decision waits for no turn while its run goes on, and counts', async () => {
  const { read, many } = await runsOf(MEBIBYTE);
  await read();
  // The tenant’s clock stands still: 80 of them take ten seconds of its turns, after which one that waits is refused.
  const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
  try {
    const outcomes = await many(80, { waits: 'acts' });
    expect(outcomes.map(({ status }) => status)).toEqual(Array(80).fill('fulfilled'));
    await expect(read()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  } finally {
    clock.mockRestore();
  }
}, 30_000);

test('of many decisions at once a few read the run at a time', async () => {
  const { readings, many } = await runsOf(1_000);
  await many(50, { waits: 'acts' });
  expect(readings.most).toBe(AT_ONCE);
});

test('a place whose turn has not come goes to another one', async () => {
  const paced = pacedRuns({ temporal: {} as never });
  const of = (n: number) => paced.reading(`chat-${n}`, { tenant: 'acme' });
  const first = Array.from({ length: AT_ONCE }, (_, n) => of(n));
  await Promise.all(first.map((reading) => reading.turn(true)));
  const left = new AbortController();
  const gone = of(20);
  const waits = gone.turn(true, left.signal);
  const next = of(21).turn(true);
  // The place is given to it while it is ended.
  first[0]?.end();
  gone.end();
  left.abort();
  await Promise.allSettled([waits]);
  await next;
});

test('a decision is refused where it would count for nothing, and what comes after one is not', async () => {
  const { deps, read } = await runsOf(1_000);
  owe(deps, 'acme', 15);
  await read({}, { waits: 'acts' });
  owe(deps, 'acme', 15);
  await expect(read({}, { waits: 'acts' })).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  expect((await read({}, { waits: 'no' })).document.id).toBe('chat-0');
});
