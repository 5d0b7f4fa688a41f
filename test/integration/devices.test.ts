import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { loadGpuLike } from '../../bench/gpu-like/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { code, infer, pipeline, tensor } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Placement, RunContext } from '../../pipelines/run/index.js';
import { deviceQueue, poolQueue } from '../../placement/queues.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { createDeviceWorkers } from '../../workers/device-worker.js';
import { createLogger } from '../../workers/logger.js';
import type { Settings } from '../../workers/settings.js';
import { caught } from '../support/caught.js';
import { address, connect, failureOf, resultOf, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';

const QUEUE = `devices-${randomUUID()}`;
const PATIENCE_MS = 400;
const COST_MS = 100;
/** For a test whose first device is there: a worker that stands still for a moment must not look like one that is gone. */
const LONG_PATIENCE_MS = 2_000;
/** Runs of a backlog, enough that the order shows though each of Temporal's four partitions keeps its own. */
const BATCH = 32;
/** Interactive runs behind it, whose middle one is claimed of: one alone is overtaken by half the backlog in 1 % of tries. */
const INTERACTIVE = 5;

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
const pack = code('pack', { input: z.object({ x: z.number() }), output: z.object({ X: scalar }) }, ({ x }) => ({
  X: { dtype: 'FP32' as const, shape: [1, 1] as const, data: [x] },
}));
const addOne = pipeline('add-one', { input: z.object({ x: z.number() }) }, ({ input, stage }) => {
  const x = stage('pack', pack, { x: input.x }, { execution: 'inline' });
  const added = stage('add', infer({ model: 'adder', inputs: { X: scalar }, outputs: { Y: scalar } }), { X: x.X });
  return { y: added.Y };
});

/** Two devices: of one Triton under two addresses. */
function models(triton: string): string {
  const [host = '', port = ''] = triton.split(':');
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'models.json');
  const other = host === '127.0.0.1' ? `localhost:${port}` : triton;
  const endpoints = [
    { url: triton, device: 'd0', concurrency: 1 },
    { url: other, device: 'd1', concurrency: 1 },
  ];
  writeFileSync(
    file,
    JSON.stringify({ adder: { connector: 'triton', model: 'device-test', kind: 'infer', endpoints } }),
  );
  return file;
}

describe('a stage that is placed on devices', () => {
  let client: Client;
  let triton: TritonClient;
  let connection: NativeConnection;
  let settings: Settings;
  let stages: Stages;
  let worker: TestWorker;

  beforeAll(async () => {
    triton = new TritonClient(address('TRITON_URL'));
    const lock = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'device');
    await loadGpuLike(triton, { name: 'device-test', costMs: COST_MS, maxBatch: 4, devices: [lock] });
    settings = testSettings({
      MILLRACE_MODELS: models(address('TRITON_URL')),
      MILLRACE_PIPELINES: '',
      MILLRACE_TASK_QUEUE: QUEUE,
      MILLRACE_LOG_LEVEL: 'silent',
    });
    stages = await composeStages(settings, createLogger(settings, 'test'));
    const runner = { run: stages.runner.run.bind(stages.runner) };
    [client, worker] = await Promise.all([connect(), TestWorker.start({ queue: QUEUE, runner: withCode(runner) })]);
    connection = await NativeConnection.connect({ address: address('TEMPORAL_ADDRESS') });
  });
  afterAll(async () => {
    await worker.stop();
    await triton.unload('device-test', AbortSignal.timeout(60_000));
    triton.close();
    await stages.close();
    await connection.close();
    await client.connection.close();
  });

  /** Serves devices while `work` lasts. */
  async function serving<T>(devices: readonly string[], work: () => Promise<T>): Promise<T> {
    const workers = await createDeviceWorkers({
      connection,
      settings: { ...settings, MILLRACE_DEVICES: [...devices] },
      stages,
    });
    const running = workers.run();
    try {
      return await work();
    } finally {
      workers.shutdown();
      await running;
    }
  }

  const placement: Placement = {
    pack: { connector: 'code', device: 'worker', queue: QUEUE },
    add: {
      connector: 'triton',
      device: 'd0',
      queue: deviceQueue(QUEUE, 'd0'),
      elsewhere: [{ queue: deviceQueue(QUEUE, 'd1'), device: 'd1' }],
      patienceMs: PATIENCE_MS,
    },
  };
  const start = (x: number, more: Partial<RunContext> = {}) =>
    client.workflow.start(addOne.name, {
      taskQueue: QUEUE,
      workflowId: `${addOne.name}-${randomUUID()}`,
      args: [{ x }, { plan: addOne.plan, placement, tenant: 'default', ...more }],
    });

  it('runs on the first device, at the endpoint that is there', async () => {
    const patient: Placement = { ...placement, add: { ...placement.add, patienceMs: 60_000 } as Placement[string] };
    const { output, stages: rows } = await serving(['d0', 'd1'], async () =>
      resultOf(await start(1, { placement: patient })),
    );
    expect(output).toMatchObject({ y: { data: [2] } });
    expect(rows.find(({ stage }) => stage === 'add')).toMatchObject({ endpoint: address('TRITON_URL'), attempt: 1 });
  });

  it('runs on the next where the first one’s worker is gone', async () => {
    const { output, stages: rows } = await serving(['d1'], async () => resultOf(await start(2)));
    expect(output).toMatchObject({ y: { data: [3] } });
    const { endpoint } = rows.find(({ stage }) => stage === 'add') ?? {};
    expect(endpoint).toContain('localhost');
  });

  it('is taken by whichever device has room from its pool’s queue, and by the other when one is gone', async () => {
    const shared: Placement = {
      ...placement,
      add: { connector: 'triton', device: 'd0,d1', queue: poolQueue(QUEUE, 'adder') },
    };
    const endpoints = async (count: number) => {
      const runs = await Promise.all(Array.from({ length: count }, (_, i) => start(i, { placement: shared })));
      const results = await Promise.all(runs.map(resultOf));
      return new Set(results.map(({ stages: rows }) => rows.find(({ stage }) => stage === 'add')?.endpoint));
    };
    // The worker of one may begin to poll when the other has served the first eight.
    const both = async () => {
      const seen = new Set<string | undefined>();
      await until('both have taken some', async () => {
        for (const each of await endpoints(8)) seen.add(each);
        return seen.size === 2;
      });
    };
    await serving(['d0', 'd1'], both);
    expect([...(await serving(['d1'], () => endpoints(3)))]).toEqual([expect.stringContaining('localhost')]);
  });

  it('waits in Temporal for room, where an interactive run overtakes batch', async () => {
    const patient: Placement = {
      ...placement,
      add: { connector: 'triton', device: 'd0', queue: deviceQueue(QUEUE, 'd0') },
    };
    const waits = async (run: WorkflowHandle) => ((await run.describe()).raw.pendingActivities ?? []).length > 0;
    const closedAt = async (run: WorkflowHandle) => (await run.describe()).closeTime?.getTime() ?? Number.NaN;
    const batch = await Promise.all(
      Array.from({ length: BATCH }, (_, i) => start(i, { priority: 'batch', placement: patient })),
    );
    for (const run of batch) await until('it waits for the device', () => waits(run));
    const interactive = await Promise.all(
      Array.from({ length: INTERACTIVE }, (_, i) => start(i, { priority: 'interactive', placement: patient })),
    );
    for (const run of interactive) await until('it waits behind them', () => waits(run));
    await serving(['d0'], () => Promise.all([...interactive, ...batch].map((run) => run.result())));
    const [middle = Number.NaN] = (await Promise.all(interactive.map(closedAt)))
      .sort((a, b) => a - b)
      .slice(INTERACTIVE >> 1);
    const ends = await Promise.all(batch.map(closedAt));
    // The worker polls one of four partitions of the queue at random: one run may wait long until its partition is polled.
    expect(ends.filter((each) => each < middle).length).toBeLessThan(BATCH / 2);
    expect(ends.filter((each) => each > middle).length).toBeGreaterThan(BATCH / 2);
  });
});

describe('attempts of a stage that changes its queue', () => {
  const once = pipeline('once', { input: z.object({ x: z.number() }) }, ({ input, stage }) => {
    const packed = stage('pack', pack, { x: input.x }, { retry: { attempts: 3, backoff: { initial: '3s' } } });
    return { x: packed.X };
  });

  it('are counted over all of them', async () => {
    const calls: string[] = [];
    const failing = (name: string) => ({
      run: async () => {
        calls.push(name);
        throw new MillraceError('BACKEND_UNAVAILABLE', `${name} fails`);
      },
    });
    const queues = [`${QUEUE}.a`, `${QUEUE}.b`] as const;
    const client = await connect();
    const [workflows, a, b] = await Promise.all([
      TestWorker.start({ queue: `${QUEUE}.w`, runner: failing('w') }),
      TestWorker.start({ queue: queues[0], runner: failing('a') }),
      TestWorker.start({ queue: queues[1], runner: failing('b') }),
    ]);
    const row = { connector: 'code', device: 'a', queue: queues[0] };
    const placement: Placement = {
      pack: { ...row, elsewhere: [{ queue: queues[1], device: 'b' }], patienceMs: LONG_PATIENCE_MS },
    };
    const run = await caught('a first attempt on the first queue', async () => {
      calls.length = 0;
      const begun = await client.workflow.start(once.name, {
        taskQueue: `${QUEUE}.w`,
        workflowId: `${once.name}-${randomUUID()}`,
        args: [{ x: 1 }, { plan: once.plan, placement, tenant: 'default' }],
      });
      await until('the first attempt', () => calls.length > 0);
      if (calls[0] === 'a') return begun;
      await failureOf(begun);
      return undefined;
    });
    await a.stop();
    const { code: failure } = await failureOf(run);
    expect(failure).toBe('BACKEND_UNAVAILABLE');
    // The second too where `a` ends late.
    expect(['abb', 'aab']).toContain(calls.join(''));
    await Promise.all([workflows.stop(), b.stop()]);
    await client.connection.close();
  });
});

/** The pipeline's own code runs here: its settings name no module of pipelines. */
function withCode(runner: Pick<Stages['runner'], 'run'>): Pick<Stages['runner'], 'run'> {
  return {
    run: async (input, call, attempt) => {
      if (call.kind !== 'code') return runner.run(input, call, attempt);
      const x = (input as { x: number }).x;
      const output: JsonObject = { X: { dtype: 'FP32', shape: [1, 1], data: [x] } };
      return { output, endpoint: 'worker', device: 'worker', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 };
    },
  };
}
