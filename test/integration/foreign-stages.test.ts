import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ForeignCalls } from '../../activities/stage/foreign-calls.js';
import { examine } from '../../cli/doctor/examine.js';
import { MillraceClient, type RunDocument } from '../../client/index.js';
import { activity, agent, pipeline, stageTool } from '../../pipelines/index.js';
import { place } from '../../placement/place.js';
import { recordKey } from '../../stores/records/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { recordingLogger } from '../support/caches.js';
import { ForeignWorker } from '../support/foreign-worker.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CodeRunner } from '../support/in-process.js';
import { address, CallLog, connect, until } from '../support/runs.js';
import { scripted } from '../support/scripted-model.js';
import { testEnvironment } from '../support/settings.js';
import { TestWorker } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';
import { workflowBundle } from '../support/workflow-bundle.js';

const QUEUE = 'foreign-stages';
const SETTINGS = { MILLRACE_PIPELINES: 'test/fixtures/foreign.mjs', MILLRACE_TASK_QUEUE: QUEUE };

let temporal: Client;
let redis: Redis;
let worker: WorkerProcess;
let gateway: GatewayProcess;
let other: ForeignWorker;
let client: MillraceClient;

beforeAll(async () => {
  redis = new Redis(address('REDIS_URL'));
  [temporal, worker, gateway, other] = await Promise.all([
    connect(),
    WorkerProcess.start(QUEUE, SETTINGS),
    GatewayProcess.start(SETTINGS),
    ForeignWorker.start('foreign'),
  ]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
afterAll(async () => {
  await Promise.all([worker.kill('SIGTERM'), gateway.stop(), other.kill()]);
  redis.disconnect();
  await temporal.connection.close();
});

/** Of runs whose histories are replayed. */
const ids: string[] = [];

const ended = async (pipeline: string, input: object): Promise<RunDocument> => {
  const { id } = await client.start(pipeline, input as Record<string, never>);
  ids.push(id);
  return await client.wait(id);
};

/** The entry of a stage in the record of a run. */
const recorded = async (run: string, stage: string): Promise<Record<string, unknown>> => {
  const all = Object.entries(await redis.hgetall(recordKey(run)));
  const [, text] = all.find(([field]) => field.replace(/^!/, '').startsWith(`${stage} `)) ?? [];
  return JSON.parse(text ?? 'null') as Record<string, unknown>;
};

describe('activities and workflows of a worker of plain Temporal, as stages', () => {
  it('are called with their own arguments, and their results are the outputs', async () => {
    const run = await ended('foreign-both', { name: 'Ada', a: 1, b: 41 });
    expect(run).toMatchObject({ status: 'succeeded', output: { greeting: 'Hello, Ada!', sum: 42, score: 53 } });
    expect(run.stages).toMatchObject([
      { stage: 'greet', kind: 'activity', connector: 'temporal', model: 'greet', device: 'foreign', status: 'done' },
      { stage: 'add', kind: 'activity', attempt: 1, cache: 'off' },
      { stage: 'score', kind: 'workflow', connector: 'temporal', model: 'ScoreCustomer', status: 'done' },
    ]);
    const { events } = await temporal.workflow.getHandle(run.id).fetchHistory();
    const scheduled = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    // Both are ready at once: either may be the first.
    const queues = scheduled.map(({ activityType, taskQueue }) => [activityType?.name, taskQueue?.name]);
    expect(queues.toSorted()).toEqual([
      ['add', 'foreign'],
      ['greet', 'foreign'],
    ]);
    const child = temporal.workflow.getHandle(`${run.id}/score`);
    expect(await child.describe()).toMatchObject({ type: 'ScoreCustomer', taskQueue: 'foreign' });
  });

  it('leave the record, the events and the metrics that other stages leave', async () => {
    const { id } = await client.start('foreign-both', { name: 'Ada', a: 1, b: 2 });
    const published: unknown[] = [];
    for await (const event of client.events(id)) {
      if (event.type.startsWith('stage.')) published.push(event);
    }
    const of = (stage: string) => published.filter((event) => (event as { stage?: string }).stage === stage);
    expect(of('greet')).toMatchObject([
      { type: 'stage.started', path: 'greet', attempt: 1, kind: 'activity', model: 'greet' },
      { type: 'stage.finished', path: 'greet', attempt: 1, cache: 'off', runMs: expect.any(Number) },
    ]);
    expect(of('score')).toHaveLength(2);
    expect(await recorded(id, 'greet')).toMatchObject({
      path: 'greet',
      kind: 'activity',
      model: 'greet',
      attempt: 1,
      input: { json: { name: 'Ada' } },
      output: { json: 'Hello, Ada!' },
      served: { endpoint: 'temporal', device: 'foreign', cache: 'off' },
    });
    const count = await worker.metric(
      'millrace_stage_seconds_count',
      'stage="greet",kind="activity",model="greet",outcome="ok"',
    );
    expect(count).toBeGreaterThanOrEqual(1);
  });

  it('are retried by Temporal until they succeed', async () => {
    const log = new CallLog();
    expect(await ended('foreign-flaky', { log: log.file, failures: 2 })).toMatchObject({ output: { calls: 3 } });
    const broken = new CallLog();
    expect(await ended('foreign-flaky', { log: broken.file, failures: 9 })).toMatchObject({
      error: { code: 'ACTIVITY_FAILED', stage: 'flaky', message: 'stage "flaky": Error: failure 3' },
    });
    expect(broken.count('call')).toBe(3);
  });

  it.each([
    ['foreign-fails', 'ValueError', false, 3, 'ACTIVITY_FAILED', 'stage "fails": ValueError: bad'],
    ['foreign-fails', 'ValueError', true, 1, 'ACTIVITY_FAILED', 'stage "fails": ValueError: bad'],
    ['foreign-fails', 'BACKEND_REJECTED', true, 1, 'BACKEND_REJECTED', 'stage "fails": bad'],
    // What controls the run is not theirs to say.
    ['foreign-fails', 'RUN_CANCELLED', true, 1, 'ACTIVITY_FAILED', 'stage "fails": RUN_CANCELLED: bad'],
    ['foreign-workflow-fails', 'ValueError', true, 1, 'ACTIVITY_FAILED', 'stage "fails": ValueError: bad'],
    ['foreign-workflow-fails', 'INVALID_MEDIA', true, 1, 'INVALID_MEDIA', 'stage "fails": bad'],
  ])(
    '%s with %s, non-retryable %s, fails after %d calls with %s',
    async (pipeline, type, nonRetryable, calls, code, message) => {
      const log = new CallLog();
      const run = await ended(pipeline, { log: log.file, type, message: 'bad', nonRetryable });
      expect(run).toMatchObject({ status: 'failed', error: { code, message, stage: 'fails' } });
      if (code === 'BACKEND_REJECTED') expect(run.error?.fields).toEqual([{ field: 'x', message: 'kept' }]);
      expect(log.count('call')).toBe(calls);
      expect(await recorded(run.id, 'fails')).toMatchObject({ failure: { code, message } });
    },
  );

  it('go on from their heartbeats when their worker is killed', async () => {
    const log = new CallLog();
    const { id } = await client.start('foreign-slow', { log: log.file, steps: 600 });
    await until('it has begun', () => log.count('starts at 0') === 1);
    const steps = async () => {
      const [activity] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
      return Number(Buffer.from(activity?.heartbeatDetails?.payloads?.[0]?.data ?? []).toString());
    };
    await until('Temporal has heard of some steps', async () => (await steps()) > 3);
    await other.kill();
    other = await ForeignWorker.start('foreign');
    await until('it has begun again', () => log.lines().length > 1);
    writeFileSync(`${log.file}.enough`, '');
    const { status, output } = await client.wait(id);
    expect(status).toBe('succeeded');
    expect(Number(output?.from)).toBeGreaterThan(3);
    expect(log.lines()).toEqual(['starts at 0', `starts at ${String(output?.from)}`]);
  });

  it('receive the cancellation of their run', async () => {
    const [activity, workflow] = [new CallLog(), new CallLog()];
    const one = await client.start('foreign-slow', { log: activity.file, steps: 600 });
    const two = await client.start('foreign-waits', { log: workflow.file });
    await until('both have begun', () => activity.count('starts at 0') > 0 && workflow.count('starts') > 0);
    await Promise.all([client.cancel(one.id), client.cancel(two.id)]);
    expect(await client.wait(one.id)).toMatchObject({ status: 'cancelled' });
    expect(await client.wait(two.id)).toMatchObject({ status: 'cancelled' });
    await until('both have ended', () => activity.count('cancelled') > 0 && workflow.count('cancelled') > 0);
  });

  it('wait in the queue for a worker that starts late', async () => {
    const { id } = await client.start('foreign-late', { a: 2, b: 3 });
    const doing = async () => (await client.get(id)).stages?.[0]?.doing;
    await expect.poll(doing).toBe('waiting for a worker of the task queue foreign-late');
    // A worker that stands still for a second leaves the stages out of the document.
    const running = { status: 'running', stages: [{ status: 'running' }] };
    await expect.poll(() => client.get(id)).toMatchObject(running);
    const worker = await ForeignWorker.start('foreign-late');
    try {
      expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { sum: 5 } });
    } finally {
      await worker.kill();
    }
  });

  it('give way to an alternative after its patience, and else wait as long as the policy says', async () => {
    const run = await ended('foreign-instead', { a: 2, b: 3 });
    expect(run).toMatchObject({ status: 'succeeded', output: { sum: 5, extra: null } });
    expect(run.stages).toMatchObject([
      { stage: 'add', device: 'foreign', instead: 'BACKEND_UNAVAILABLE' },
      { stage: 'extra', status: 'skipped', instead: 'BACKEND_UNAVAILABLE' },
    ]);
    expect((await ended('foreign-never', { a: 2, b: 3 })).error).toMatchObject({
      code: 'STAGE_TIMEOUT',
      message: expect.stringContaining('task queue "foreign-nobody"'),
    });
  });

  it('are reported by doctor where no worker polls their queue', () =>
    unlessStill(async () => {
      const findings = await examine(testEnvironment(SETTINGS));
      const found = findings.filter(({ id }) => id === 'temporal.foreign');
      expect(found.map(({ about, state }) => [about, state])).toEqual(
        expect.arrayContaining([
          ['foreign', 'ok'],
          ['foreign-nobody', 'warn'],
        ]),
      );
      expect(found.find(({ about }) => about === 'foreign-nobody')?.detail).toContain('no worker polls the task queue');
    }));

  it('are not called again by a run that resumes', async () => {
    const log = new CallLog();
    const strike = `${log.file}.broken`;
    writeFileSync(strike, '');
    const failed = await ended('foreign-order', { log: log.file });
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'BACKEND_REJECTED', stage: 'ship' } });
    rmSync(strike);
    const resumed = await client.resume(failed.id);
    const run = await client.wait(resumed.id);
    expect(run).toMatchObject({ status: 'succeeded', output: { parcel: 'charged billed' } });
    expect(run.stages).toMatchObject([{ resumed: true }, { resumed: true }, { stage: 'ship' }]);
    expect(log.lines().sort()).toEqual(['bill', 'charge', 'ship', 'ship']);
  });

  it('fail where the result does not fit, is too large or is no JSON', async () => {
    const error = async (what: string, times = 1) => (await ended('foreign-echo', { what, times })).error;
    expect(await error('{"list":["one"]}')).toMatchObject({
      code: 'INVALID_OUTPUT',
      stage: 'echo',
      fields: [{ field: 'list.0' }],
    });
    expect(await error('nothing')).toMatchObject({ code: 'INVALID_OUTPUT' });
    expect(await error('bytes')).toMatchObject({ code: 'INVALID_OUTPUT', message: expect.stringContaining('bytes') });
    expect(await error('large')).toMatchObject({ code: 'RESULT_TOO_LARGE', fields: [{ field: 'list' }] });
    // What the schema completes.
    expect((await ended('foreign-echo', { what: '{"list":[1]}' })).output).toEqual({ out: { list: [1], unit: 'm' } });
  });

  it('know the call and report usage with the protocol "millrace"', async () => {
    const run = await ended('foreign-called', { n: 7 });
    expect(run.output).toEqual({
      call: {
        n: 7,
        protocol: 1,
        run: run.id,
        pipeline: 'foreign-called',
        stage: 'called',
        tenant: 'default',
        idempotencyKey: `${run.id}/called`,
        deadlineMs: expect.any(Number),
        priority: 'batch',
      },
    });
    expect(run.stages).toMatchObject([{ usage: { inputTokens: 3, outputTokens: 4 } }]);
  });

  it('are tools of an agent', async () => {
    const asks = scripted('asks-add', ({ messages }) =>
      messages.length === 1 ? { calls: [['add', { a: 2, b: 3 }]] } : { text: `It is ${messages.at(-1)?.content}.` },
    );
    const numbers = z.object({ a: z.number(), b: z.number() });
    const add = activity({ queue: 'foreign', type: 'add', input: numbers, output: z.number(), args: ['a', 'b'] });
    const tools = [stageTool({ name: 'add', description: 'Adds two numbers', use: add })];
    const asked = pipeline('foreign-agent', { input: z.object({ task: z.string() }) }, ({ input, stage }) => ({
      text: stage('answer', agent({ model: asks, tools }), { prompt: input.task }).text,
    }));
    const metrics = createMetrics();
    const { logger } = recordingLogger();
    const own = await TestWorker.start({
      queue: 'foreign-agent',
      runner: new CodeRunner(asked),
      foreign: new ForeignCalls({ events: { attempt: () => undefined }, metrics, logger }),
    });
    try {
      const pool = { connector: 'openai', kind: 'chat', devices: ['cpu0'], capabilities: new Set(['tools']) };
      const placement = place(asked.plan, () => pool, 'foreign-agent');
      const run = await temporal.workflow.execute('foreign-agent', {
        taskQueue: 'foreign-agent',
        workflowId: `foreign-agent-${randomUUID()}`,
        args: [{ task: 'Add 2 and 3.' }, { plan: asked.plan, placement, tenant: 'default' }],
      });
      expect(run).toMatchObject({ output: { text: 'It is 5.' } });
    } finally {
      await own.stop();
    }
  });

  it('run beside inline and queued stages, in loops and races, and each history replays', async () => {
    const inputs = [
      { items: [1, 2, 3, 4, 5, 6], ms: 10 },
      { items: [1, 2, 3], ms: 3_000 },
    ];
    for (const input of inputs) {
      const run = await ended('foreign-mixed', input);
      expect(run).toMatchObject({ status: 'succeeded', output: { first: 'somebody', long: 1 } });
      const wanted = input.items.map((item, i) => ({ sum: item + i, queued: item + i + 1, score: item + i + 4 }));
      expect(run.output?.sums).toEqual(wanted);
    }
    const histories = ids.map(async (workflowId) => ({
      workflowId,
      history: await temporal.workflow.getHandle(workflowId).fetchHistory(),
    }));
    const options = { workflowBundle: await workflowBundle(), sinks: workerSinks({ metrics: createMetrics() }) };
    const failed: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories(options, await Promise.all(histories))) {
      if (error) failed.push(`${workflowId}: ${error.message}`);
    }
    expect(failed).toEqual([]);
    expect(ids.length).toBeGreaterThan(10);
  });
});
