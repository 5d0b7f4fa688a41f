import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import { OUTCOME_SIGNAL, outcomeSignal, type RunResult } from '../../pipelines/run/index.js';
import { connected } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { type GuardedRun as Run, type Starter, starter } from '../support/guarded-runs.js';
import { CodeRunner } from '../support/in-process.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, CallLog, connect, fixtures, until } from '../support/runs.js';
import { LATE_ONCE } from '../support/soonest.js';
import { TestWorker, testRedis } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

/** What happens to a guarded run when its fast host dies, is away, or loses Redis, and when the run is cancelled. */
const STEPS = ['first', 'second', 'third', 'fourth'] as const;
/** Attempts that the fixture's policy allows: one that was in progress at the kill is repeated, and once more for each stall. */
const ATTEMPTS = 6;

let client: Client;
beforeAll(async () => {
  client = await connect();
});
afterAll(() => client.connection.close());

/** Types of the activities that a run had on queues. */
const queued = async ({ handle }: Run) =>
  ((await handle.fetchHistory()).events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );

/** Whether a fast host holds a run's journal. */
async function leased(redis: Redis, { id }: Run): Promise<boolean> {
  const [key] = await redis.keys(`millrace:{${id}}:journal:*`);
  return key !== undefined && (await redis.hexists(key, '@lease')) === 1;
}

/** The steps that a run's journal has. */
async function recorded(redis: Redis, { id }: Run): Promise<string[]> {
  const [key] = await redis.keys(`millrace:{${id}}:journal:*`);
  const fields = key === undefined ? [] : await redis.hkeys(key);
  return STEPS.filter((step) => fields.some((field) => field.startsWith(`${step} `)));
}

describe('when the fast host is killed', () => {
  const STEP_MS = 200;
  const queue = `fast-kills-${randomUUID()}`;
  let gateway: Starter;
  let worker: WorkerProcess;
  beforeAll(async () => {
    gateway = await starter(client, queue);
    worker = await WorkerProcess.start(queue);
  });
  afterAll(async () => {
    await worker.kill();
    gateway.close();
  });

  // Started one after another, so that the kill finds them at twenty points between the start and the end of a segment.
  it('at twenty points at once, every run ends, and nothing that was recorded is repeated', async () => {
    // Whatever the kill has met, all must hold of it; on a machine that stands still it may have met too little.
    await caught('runs at different points in the hands of a fast host', async () => {
      const runs = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const log = new CallLog();
          await sleep((i * STEPS.length * STEP_MS) / 20);
          return { log, run: await gateway.start(fixtures.fourInlineSteps, { log: log.file, ms: STEP_MS }) };
        }),
      );
      await worker.kill();
      const held = await Promise.all(runs.map(({ run }) => leased(gateway.redis, run)));
      const before = await Promise.all(runs.map(({ run }) => recorded(gateway.redis, run)));
      const startsOf = (i: number, step: string) => runs[i]?.log.count(`${step} starts`) ?? 0;
      const startsBefore = before.map((steps, i) => new Map(steps.map((step) => [step, startsOf(i, step)])));
      worker = await WorkerProcess.start(queue);
      await Promise.all(
        runs.map(async ({ run }, i) => {
          expect(((await run.handle.result()) as RunResult).output).toEqual({ last: 'fourth' });
          for (const step of STEPS) {
            const starts = startsOf(i, step);
            const recordedStarts = startsBefore[i]?.get(step);
            if (recordedStarts !== undefined) expect(starts, `${step} was in the record`).toBe(recordedStarts);
            else expect(starts, step).toBeLessThanOrEqual(ATTEMPTS);
            expect(starts, step).toBeGreaterThan(0);
          }
        }),
      );
      const points = new Set(before.map((steps) => steps.length)).size;
      return held.filter(Boolean).length > 2 && points > 2 ? { points } : undefined;
    });
  });
});

const one = z.object({ n: z.number() });

/** Four steps in this process, each of `ms`. */
function four(name: string, ms: number) {
  const wait = code('wait', { input: one, output: one }, async ({ n }, { signal }) => {
    await sleep(ms, undefined, { signal });
    return { n: n + 1 };
  });
  return pipeline(name, { input: one }, ({ input, stage }) => {
    let { n } = input;
    for (const step of STEPS) n = stage(step, wait, { n }, { execution: 'inline', retry: { attempts: 2 } }).n;
    return { n };
  }) as unknown as Pipeline;
}
const everyStepOnce = STEPS.flatMap((step) => [`${step} starts`, `${step} ends`]);

describe('when no fast host takes the run', () => {
  const queue = `fast-none-${randomUUID()}`;
  const steps = four('four-untaken', 1);
  const runner = new CodeRunner(steps);
  let gateway: Starter;
  let worker: TestWorker;
  beforeAll(async () => {
    gateway = await starter(client, queue);
    worker = await TestWorker.start({ queue, runner });
  });
  afterAll(async () => {
    await worker.stop();
    gateway.close();
  });

  it('its guardian runs it at once, and its caller is answered', LATE_ONCE, async () => {
    runner.events.length = 0;
    const run = await gateway.start(steps, { n: 0 });
    expect((await run.answer)?.output).toEqual({ n: 4 });
    expect(((await run.handle.result()) as RunResult).output).toEqual({ n: 4 });
    const { events } = await run.handle.fetchHistory();
    const at = (index: number) => Number(events?.at(index)?.eventTime?.seconds);
    expect(at(-1) - at(0), 'seconds from its start to its end').toBeLessThan(3);
    expect(runner.events).toEqual(everyStepOnce);
    expect(await gateway.redis.zcard(`millrace:fast:{${queue}}`)).toBe(0);
  });

  it('its guardian takes no outcome of another run, which had its id', async () => {
    const run = await gateway.start(steps, { n: 0 });
    const done = { below: Object.fromEntries(STEPS.map((step) => [step, { value: { n: 100 } }])) };
    // On a machine that stands still it comes when the run has ended.
    await run.handle.signal(OUTCOME_SIGNAL, ...outcomeSignal({ done, rows: [] }, 'another')).catch(() => undefined);
    expect(((await run.handle.result()) as RunResult).output).toEqual({ n: 4 });
  });
});

describe('when the fast host loses Redis', () => {
  const steps = four('four-without', 300);

  interface Apart {
    readonly own: OwnRedis;
    readonly gateway: Starter;
    readonly runner: CodeRunner;
  }

  /** A test with a Redis, a gateway and a worker of its own. */
  async function apart<T>(test: (parts: Apart) => Promise<T>): Promise<T> {
    const queue = `fast-redis-${randomUUID()}`;
    const runner = new CodeRunner(steps);
    const own = await ownRedis(address('REDIS_URL'));
    await own.start();
    const gateway = await starter(client, queue, own.url);
    // One that is killed refuses at once; one that stands still for a moment must not count as away.
    const redis = testRedis(own.url);
    await connected(redis, 60_000);
    const worker = await TestWorker.start({ queue, runner, redis, fast: own.url });
    try {
      return await test({ own, gateway, runner });
    } finally {
      await worker.stop();
      gateway.close();
      await own.kill();
    }
  }

  it('what it has done goes to the guardian by Temporal, which does the rest and repeats nothing', () =>
    unlessStill(() =>
      apart(async ({ own, gateway, runner }) => {
        // A job that is not taken within 150 ms goes to the guardian: so does the first, until the worker is connected.
        const run = await caught('the second step in the hands of a fast host', async () => {
          runner.events.length = 0;
          const begun = await gateway.start(steps, { n: 0 });
          await until('the second step runs', () => runner.events.includes('second starts'));
          if ((await leased(gateway.redis, begun)) && !runner.events.includes('second ends')) {
            await own.kill();
            return begun;
          }
          await begun.handle.result();
          return undefined;
        });
        expect(((await run.handle.result()) as RunResult).output).toEqual({ n: 4 });
        expect(await queued(run)).toEqual(['third', 'fourth']);
        expect(runner.events).toEqual(everyStepOnce);
      }),
    ));
});

describe('when the run is cancelled', () => {
  const queue = `fast-cancel-${randomUUID()}`;
  const steps = four('four-cancelled', 20_000);
  const runner = new CodeRunner(steps);
  let gateway: Starter;
  let worker: TestWorker;
  beforeAll(async () => {
    gateway = await starter(client, queue);
    worker = await TestWorker.start({ queue, runner, fast: address('REDIS_URL') });
  });
  afterAll(async () => {
    await worker.stop();
    gateway.close();
  });

  it('the fast host ends its call within a second, and Temporal has the run as cancelled', LATE_ONCE, async () => {
    runner.events.length = 0;
    const run = await gateway.start(steps, { n: 0 });
    await until('the first step runs', () => runner.events.includes('first starts'));
    const began = performance.now();
    await run.handle.cancel();
    await until('the call has ended', () => runner.events.includes('first aborted'));
    expect(performance.now() - began).toBeLessThan(1_000);
    await until('the run has ended', async () => (await run.handle.describe()).status.name === 'CANCELLED');
    expect(runner.events).toEqual(['first starts', 'first aborted']);
  });
});
