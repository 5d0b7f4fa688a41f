import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunResult } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { CodeRunner } from '../support/in-process.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, CallLog, connect, fixtures, poolOf, until } from '../support/runs.js';
import { TestWorker, testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

const STEPS = ['first', 'second', 'third', 'fourth'] as const;
/** Each step takes this long, so that a kill finds it at work; those of the runs beside it take longer, and are behind it. */
const [STEP_MS, ...BESIDE_MS] = [150, 220, 400] as const;
/**
 * Attempts that the fixture's policy allows: one that was in progress at the kill is repeated, and once more for each time that
 * the machine stands still for longer than a task lasts.
 */
const ATTEMPTS = 6;
/** A worker that is gone is noticed when its workflow task times out; Temporal's 10 seconds would make this test long. */
const TASK_TIMEOUT_MS = 2_000;

let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.connection.close());

/** Before the first step, during each, and as soon as each is in the record. */
const POINTS = ['at the start', ...STEPS.flatMap((step) => [`during ${step}`, `after ${step}`])];

describe('a segment whose worker is killed', () => {
  const queue = `segments-${randomUUID()}`;
  let redis: Redis;
  let worker: WorkerProcess;
  beforeAll(async () => {
    redis = testRedis();
    worker = await WorkerProcess.start(queue);
  });
  afterAll(async () => {
    await worker.kill();
    redis.disconnect();
  });

  const begin = async (ms: number) => {
    const log = new CallLog();
    const { name, plan } = fixtures.fourInlineSteps;
    const handle = await client.workflow.start(name, {
      taskQueue: queue,
      workflowId: `${name}-${randomUUID()}`,
      workflowTaskTimeout: TASK_TIMEOUT_MS,
      args: [
        { log: log.file, ms },
        { plan, placement: place(plan, poolOf, queue), tenant: 'default' },
      ],
    });
    const recorded = async () => {
      const fields = await redis.hkeys(`millrace:{${handle.workflowId}}:journal:${handle.firstExecutionRunId}:first`);
      return STEPS.filter((step) => fields.some((field) => field.startsWith(`${step} `)));
    };
    return { handle, recorded, starts: (step: string) => log.count(`${step} starts`) };
  };

  it.each(POINTS)('%s', async (point) => {
    const [first, ...beside] = await Promise.all([begin(STEP_MS), ...BESIDE_MS.map(begin)]);
    const [when, step] = point.split(' ') as [string, (typeof STEPS)[number]];
    if (when === 'during') await until(point, () => first.starts(step) > 0);
    if (when === 'after') await until(point, async () => (await first.recorded()).includes(step));
    if (when === 'during') await sleep(STEP_MS / 3);
    await worker.kill();
    const killed = [first, ...beside].map(async (run) => {
      const before = new Map((await run.recorded()).map((each) => [each, run.starts(each)]));
      return { ...run, before };
    });
    const runs = await Promise.all(killed);
    worker = await WorkerProcess.start(queue);
    for (const { handle, starts, before } of runs) {
      expect((await (handle.result() as Promise<RunResult>)).output).toEqual({ last: 'fourth' });
      for (const each of STEPS) {
        const recordedStarts = before.get(each);
        if (recordedStarts !== undefined) expect(starts(each), `${each} was in the record`).toBe(recordedStarts);
        else expect(starts(each), each).toBeLessThanOrEqual(ATTEMPTS);
        expect(starts(each), each).toBeGreaterThan(0);
      }
    }
  });
});

describe('a segment whose Redis is away', () => {
  const one = z.object({ n: z.number() });
  const wait = code('wait', { input: one, output: one }, async ({ n }, { signal }) => {
    await sleep(200, undefined, { signal });
    return { n: n + 1 };
  });
  const four = pipeline('four', { input: one }, ({ input, stage }) => {
    let { n } = input;
    for (const step of STEPS) n = stage(step, wait, { n }, { execution: 'inline', retry: { attempts: 2 } }).n;
    return { n };
  }) as unknown as Pipeline;
  const queue = `segments-without-${randomUUID()}`;
  const runner = new CodeRunner(four);
  let own: OwnRedis;
  let worker: TestWorker;
  beforeAll(async () => {
    own = await ownRedis(address('REDIS_URL'));
    // One that is killed refuses at once; one that stands still for a moment must not count as away.
    worker = await TestWorker.start({ queue, runner, redis: testRedis(own.url) });
  });
  afterAll(async () => {
    await worker.stop();
    await own.kill();
  });

  const start = () => {
    runner.events.length = 0;
    return client.workflow.start('four', {
      taskQueue: queue,
      workflowId: `four-${randomUUID()}`,
      args: [{ n: 0 }, { plan: four.plan, placement: place(four.plan, poolOf, queue), tenant: 'default' }],
    });
  };
  const queued = async (handle: WorkflowHandle) =>
    ((await handle.fetchHistory()).events ?? []).flatMap(
      ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
    );
  const everyStepOnce = STEPS.flatMap((step) => [`${step} starts`, `${step} ends`]);

  it('runs its steps on their queues when it is away before the segment', async () => {
    const handle = await start();
    expect(((await handle.result()) as RunResult).output).toEqual({ n: 4 });
    expect(await queued(handle)).toEqual(STEPS);
    expect(runner.events).toEqual(everyStepOnce);
  });

  it('goes on there, and repeats nothing that had ended, when it is lost in the middle', async () => {
    await own.start();
    await until('the worker has Redis', async () => {
      const handle = await start();
      await handle.result();
      return (await queued(handle)).length === 0;
    });
    const handle = await start();
    await until('the second step runs', () => runner.events.includes('second starts'));
    await own.kill();
    expect(((await handle.result()) as RunResult).output).toEqual({ n: 4 });
    expect(await queued(handle)).toEqual(['third', 'fourth']);
    expect(runner.events).toEqual(everyStepOnce);
  });
});
