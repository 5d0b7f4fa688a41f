import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Pipeline } from '../../pipelines/index.js';
import type { StageRecord } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { loadPipelines } from '../../workers/pipelines.js';
import { decideAt } from '../support/deciding.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { WorkerProcess } from '../support/worker-process.js';

/** A rolling deploy with real processes: a run gets the code that it began with, whoever else is there. */

const QUEUE = `code-versions-${randomUUID()}`;
/** A loaded machine takes its time. */
const LIMIT_MS = 240_000;

/** The text of the pipelines is the same in both builds but for one name: what has changed is a file that it imports. */
function build(factor: number, name: string): string {
  const folder = path.resolve('.millrace/test/code', randomUUID());
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'factor.mjs'), `export const factor = ${factor};\n`);
  const file = path.join(folder, 'pipelines.mjs');
  writeFileSync(
    file,
    `import { approve, code, pipeline } from 'millrace';
import { z } from 'zod';
import { factor } from './factor.mjs';
const one = z.object({ n: z.number() });
const times = code('times', { input: one, output: one }, ({ n }) => ({ n: n * factor }));
const named = code('${name}', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
// Workers that start on a machine that does much else.
const patient = { timeout: { total: '20m' } };
const inline = { execution: 'inline', ...patient };
export const multiplied = pipeline('multiplied', { input: one, deadline: '30m' }, ({ input, stage }) => ({ n: stage('times', times, input, patient).n }));
export const gated = pipeline('gated', { input: one, deadline: '30m' }, ({ input, stage }) => {
  const ok = stage('sign-off', approve({ timeout: '20m' }), { subject: 'Go on?' });
  const queued = stage('times', times, { n: input.n }, patient);
  return {
    queued: stage('queued', code('pass', { input: z.looseObject({}), output: one }, ({ n }) => ({ n: n * factor })), { n: queued.n, ok: ok.approved }, patient).n,
    inline: stage('inlined', code('pass-inline', { input: z.looseObject({}), output: one }, ({ n }) => ({ n: n * factor })), { n: input.n, ok: ok.approved }, inline).n,
    renamed: stage('renamed', named, { n: input.n }, patient).n,
  };
});
`,
  );
  return file;
}

const modules = { old: build(10, 'increase'), next: build(1_000, 'add-one') };
const environment = (module: string) => ({ MILLRACE_PIPELINES: module, MILLRACE_TASK_QUEUE: QUEUE });
const worker = (module: string) => WorkerProcess.start(QUEUE, environment(module));
const OLD_RESULT = { queued: 200, inline: 20, renamed: 3 };

let client: Client;
let gateway: GatewayProcess;
let oldWorker: WorkerProcess;
let newWorker: WorkerProcess | undefined;
let gated: Pipeline;
beforeAll(async () => {
  const old = await loadPipelines(testSettings(), modules.old);
  gated = old.find(({ name }) => name === 'gated') as Pipeline;
  [client, gateway, oldWorker] = await Promise.all([
    connect(),
    GatewayProcess.start(environment(modules.next)),
    worker(modules.old),
  ]);
}, LIMIT_MS);
afterAll(async () => {
  await Promise.all([gateway?.stop(), oldWorker?.kill(), newWorker?.kill()]);
  await client?.connection.close();
});

const approve = (run: WorkflowHandle) => decideAt(run, 'sign-off', { approved: true });
const doing = async (run: WorkflowHandle) =>
  (await run.query<StageRecord[]>('stages')).flatMap((row) => (row.doing === undefined ? [] : [row.doing]));

test('a new gateway before an old worker: a new run waits, visibly, for a worker of its build', {
  timeout: LIMIT_MS,
}, async () => {
  const started = await fetch(`${gateway.url}/v1/pipelines/multiplied/runs`, {
    method: 'POST',
    body: '{"n": 2}',
    headers: { 'content-type': 'application/json' },
  });
  expect(started.status).toBe(202);
  const { id } = (await started.json()) as RunDocument;
  const read = async () => (await (await fetch(`${gateway.url}/v1/runs/${id}`)).json()) as RunDocument;
  const waits = async () =>
    (await read()).stages?.some((row) => /^waiting for code times@build-/.test(row.doing ?? ''));
  await until('the run says what it waits for', async () => (await waits()) === true, LIMIT_MS);
  // A check that gets no answer within two seconds has failed, too.
  await expect
    .poll(async () => (await fetch(`${gateway.url}/readyz`)).json())
    .toMatchObject({ status: 'degraded', checks: { code: { error: expect.stringContaining('times@build-') } } });
  await expect
    .poll(async () => (await fetch(`${gateway.url}/metrics`)).text())
    .toMatch(/millrace_code_missing\{code="times@build-/);
  newWorker = await worker(modules.next);
  let run = await read();
  const hasEnded = async () => {
    run = await read();
    return run.id === id && run.status !== 'running';
  };
  await until('the run has ended', hasEnded, LIMIT_MS);
  expect(run).toMatchObject({ status: 'succeeded', output: { n: 2_000 } });
});

test('a run that waited for a person under the old build gets its code, beside a worker of the new one', {
  timeout: LIMIT_MS,
}, async () => {
  newWorker ??= await worker(modules.next);
  const runs = await Promise.all([1, 2, 3].map(() => start(client, gated, { n: 2 }, QUEUE)));
  for (const run of runs) await approve(run);
  for (const run of runs) expect((await resultOf(run)).output).toEqual(OLD_RESULT);
});

test('without a worker of the old build it waits, visibly, and goes on when one comes', {
  timeout: 3 * LIMIT_MS,
}, async () => {
  newWorker ??= await worker(modules.next);
  const run = await start(client, gated, { n: 2 }, QUEUE);
  await until('it waits for the person', async () => {
    const rows = await run.query<StageRecord[]>('stages');
    return rows.some(({ stage, status }) => stage === 'renamed' && status === 'done');
  });
  await oldWorker.kill('SIGTERM');
  await approve(run);
  await until(
    'it says what it waits for',
    async () => (await doing(run)).some((text) => text.startsWith('waiting for code pass')),
    // Temporal lists a worker for 90 s after its last poll.
    LIMIT_MS,
  );
  oldWorker = await worker(modules.old);
  expect((await resultOf(run)).output).toEqual(OLD_RESULT);
});
