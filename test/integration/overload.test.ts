import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Priority } from '../../pipelines/plan/index.js';
import type { RunDocument } from '../../runs/document.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog, until } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

/** As `runs/admission/backlog.ts` has it. */
const FRESH_MS = 1_000;
const SHED = { status: 503, code: 'OVERLOADED' };

/** A worker that runs one stage at a time, and more work than it can do in time. */
const queue = `overload-${randomUUID()}`;
const log = new CallLog();
let worker: WorkerProcess;
let gateway: GatewayProcess;
const started: string[] = [];
beforeAll(async () => {
  [worker, gateway] = await Promise.all([
    WorkerProcess.start(queue, { MILLRACE_MAX_ACTIVITIES: '1' }),
    GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue }),
  ]);
});
afterAll(async () => {
  await Promise.all(started.map((id) => fetch(`${gateway.url}/v1/runs/${id}/cancel`, { method: 'POST' })));
  await gateway?.stop();
  await worker?.kill();
});

async function start(priority: Priority, headers: Record<string, string> = {}) {
  const response = await fetch(`${gateway.url}/v1/pipelines/within-twenty-seconds/runs?priority=${priority}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ log: log.file, ms: 1_000 }),
  });
  const answer = (await response.json()) as RunDocument & { code: string };
  if (response.ok) started.push(answer.id);
  return {
    status: response.status,
    code: answer.code,
    id: answer.id,
    retryAfter: Number(response.headers.get('retry-after')),
  };
}

it('batch is shed when the queue takes half of the deadline, and more urgent runs are not', async () => {
  const began = performance.now();
  const first = await start('batch', { 'idempotency-key': queue });
  expect(first.status).toBe(202);
  // More than ten seconds of work. What has been asked of the queue answers for a second; who arrives later may be shed already.
  const burst = await Promise.all(Array.from({ length: 15 }, () => start('batch')));
  const early = burst.filter(({ status }) => status === 202);
  if (performance.now() - began < FRESH_MS) expect(early).toHaveLength(burst.length);
  for (const { status, code } of burst) if (status !== 202) expect({ status, code }).toEqual(SHED);
  let refused = await start('batch');
  await until('batch is shed', async () => {
    if (refused.status === 202) refused = await start('batch');
    return refused.status !== 202;
  });
  expect(refused).toMatchObject(SHED);
  expect(refused.retryAfter).toBeGreaterThanOrEqual(1);
  expect(refused.retryAfter).toBeLessThanOrEqual(60);
  expect((await start('default')).status).toBe(202);
  expect((await start('interactive')).status).toBe(202);
  // Another tenant waits for its turn, not for all of these. While Temporal does not count runs in time, it waits for all.
  await until('a run of another tenant is accepted', async () => {
    const { status } = await start('batch', { 'millrace-tenant': 'another' });
    return status === 202;
  });
  // The same request again is no new run.
  expect(await start('batch', { 'idempotency-key': queue })).toMatchObject({ id: first.id });
  // Its log comes another way than its answers.
  await expect
    .poll(() => gateway.lines('queues are too long')[0])
    .toMatchObject({
      pipeline: 'within-twenty-seconds',
      priority: 'batch',
    });
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toMatch(
    /^millrace_runs_refused_total\{code="OVERLOADED",pipeline="within-twenty-seconds",priority="batch"\} \d/m,
  );
});
