import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../pipelines/index.js';
import { type RunResult, STAGES_QUERY, type StageRecord } from '../../pipelines/run/index.js';
import { FastJobQueue } from '../../stores/jobs/index.js';
import { connected, LossWatch } from '../../stores/redis/index.js';
import { type FastWorker, serveFastJobs } from '../../workers/hosts/fast-worker.js';
import { caught } from '../support/caught.js';
import { type GuardedRun, type Starter, starter } from '../support/guarded-runs.js';
import { CodeRunner } from '../support/in-process.js';
import { monitoring } from '../support/monitoring.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, CallLog, connect, fixtures, start, until } from '../support/runs.js';
import { TestWorker, testRedis } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { WorkerProcess } from '../support/worker-process.js';

/**
 * What happens to side effects when the state store loses its memory, or only one of the processes of a run loses sight of
 * it. The steps are the receivers: they count how often each was asked for.
 */
const STEPS = ['first', 'second', 'third', 'fourth'] as const;
/** All steps take longer than the guardian's delay: it looks while the fast host is at work. */
const STEP_MS = 1_200;
const everyStepOnce = STEPS.flatMap((step) => [`${step} starts`, `${step} ends`]);
/** A port at which nothing listens. */
const NO_REDIS = 'redis://127.0.0.1:1';

const one = z.object({ n: z.number() });
/** Four steps of `ms` each. A payment that is repeated is one too many: each has one attempt. */
function charges(name: string, ms: number): Pipeline {
  const wait = code('wait', { input: one, output: one }, async ({ n }, { signal }) => {
    await sleep(ms, undefined, { signal });
    return { n: n + 1 };
  });
  return pipeline(name, { input: one }, ({ input, stage }) => {
    let { n } = input;
    for (const step of STEPS) n = stage(step, wait, { n }, { execution: 'inline', retry: { attempts: 1 } }).n;
    return { n };
  }) as unknown as Pipeline;
}
const steps = charges('four-charges', STEP_MS);

let client: Client;
let own: OwnRedis;
let redis: Redis;
beforeAll(async () => {
  client = await connect();
  own = await ownRedis(address('REDIS_URL'));
  await own.start();
  redis = testRedis(own.url);
  await connected(redis, 30_000);
});
afterAll(async () => {
  redis.disconnect();
  await own.kill();
  await client.connection.close();
});

const queued = async ({ handle }: Pick<GuardedRun, 'handle'>) =>
  ((await handle.fetchHistory()).events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
const waitsVisibly = ({ handle }: Pick<GuardedRun, 'handle'>) => {
  const waits = async () => {
    const rows = (await handle.query(STAGES_QUERY).catch(() => [])) as StageRecord[];
    return rows.some(({ doing }) => doing === 'waits for the state store');
  };
  return until('it waits, visibly', waits, 90_000);
};
const journalOf = async ({ id }: Pick<GuardedRun, 'id'>) => (await redis.keys(`millrace:{${id}}:journal:*`))[0] ?? '';
/**
 * Whether a fast host has it. One that has just started may be too late for its first run: Temporal's worker has that one, under no
 * lease.
 */
const isLeased = async (run: Pick<GuardedRun, 'id'>) => (await redis.hexists(await journalOf(run), '@lease')) === 1;
/** A host that stood still itself may have begun it twice. */
const isInSecond = (log: CallLog) => log.count('second starts') === 1 && log.count('second ends') === 0;
const outputOf = async ({ handle }: Pick<GuardedRun, 'handle'>) => ((await handle.result()) as RunResult).output;

describe('a fast host whose state store loses its memory', () => {
  const queue = `lost-${randomUUID()}`;
  const runner = new CodeRunner(steps);
  let gateway: Starter;
  let worker: TestWorker;
  beforeAll(async () => {
    gateway = await starter(client, queue, own.url);
    worker = await TestWorker.start({ queue, runner, redis: testRedis(own.url), fast: own.url });
  });
  afterAll(async () => {
    await worker.stop();
    gateway.close();
  });
  const begin = () => {
    runner.events.length = 0;
    return gateway.start(steps, { n: 0 });
  };
  const onceEach = async (run: GuardedRun) => {
    expect(await outputOf(run)).toEqual({ n: 4 });
    expect(runner.events).toEqual(everyStepOnce);
    expect(await queued(run)).toEqual([]);
  };

  it('goes on when it is flushed, again and again, and nothing is asked for twice', () =>
    unlessStill(async () => {
      const run = await begin();
      await until('the first step runs', () => runner.events.includes('first starts'));
      let ended = false;
      const flushing = (async () => {
        while (!ended) {
          await redis.flushall();
          await sleep(700);
        }
      })();
      // A flush in the middle of a look may hand the rest to the queues: what counts is that each step is asked for
      // once.
      const output = await outputOf(run).finally(() => {
        ended = true;
      });
      await flushing;
      expect(output).toEqual({ n: 4 });
      expect(runner.events).toEqual(everyStepOnce);
    }));

  it('goes on when its last second is lost', () =>
    unlessStill(async () => {
      const run = await begin();
      await until('the first step runs', () => runner.events.includes('first starts'));
      await until('its journal is there', async () => (await journalOf(run)) !== '');
      const key = await journalOf(run);
      const before = (await redis.dumpBuffer(key)) as Buffer;
      await until('the second step runs', () => runner.events.includes('second starts'));
      await redis.restore(key, 60_000, before, 'REPLACE');
      await onceEach(run);
    }));

  it('goes on when it is started anew, without what it had', () =>
    unlessStill(async () => {
      const run = await begin();
      await until('the second step runs', () => runner.events.includes('second starts'));
      await own.kill();
      await own.start();
      try {
        expect(await outputOf(run)).toEqual({ n: 4 });
      } finally {
        await until('Redis is back for the next test', async () => (await redis.ping().catch(() => '')) === 'PONG');
      }
      expect(runner.events).toEqual(everyStepOnce);
    }));
});

describe('a state store that fails over without its last second', () => {
  it('has a job again that was taken: no worker begins it beside the fast host that runs it', () =>
    unlessStill(async () => {
      const queue = `again-${randomUUID()}`;
      const waiting = `millrace:fast:{${queue}}`;
      const runner = new CodeRunner(steps);
      const gateway = await starter(client, queue, own.url);
      const worker = await TestWorker.start({ queue, runner, redis: testRedis(own.url), fast: own.url });
      const jobs: string[] = [];
      const monitor = await monitoring(redis);
      monitor.on('monitor', (_: string, [, , , key, , job = '']: string[]) => {
        if (key === waiting && job.startsWith('{')) jobs.push(job);
      });
      const run = await gateway.start(steps, { n: 0 });
      await until('the first step runs', () => runner.events.includes('first starts'));
      await until('its job was seen', () => jobs.length > 0);
      monitor.disconnect();
      // The former primary is gone with its connections; the new one knows neither that the job was taken nor its journal.
      const failover = redis.multi().call('client', 'kill', 'type', 'normal', 'skipme', 'yes').flushall();
      await failover.zadd(waiting, 1, jobs[0] as string).exec();
      expect(await outputOf(run)).toEqual({ n: 4 });
      expect(runner.events).toEqual(everyStepOnce);
      await worker.stop();
      gateway.close();
    }));
});

describe('a fast host that dies after its state store has lost its memory', () => {
  it('has restored what had ended: none of it runs again', () =>
    unlessStill(async () => {
      const queue = `lost-then-dead-${randomUUID()}`;
      const gateway = await starter(client, queue, own.url);
      const { log, run } = await caught('the second step', async () => {
        const host = await WorkerProcess.start(queue, { REDIS_URL: own.url });
        let log = new CallLog();
        let run = await gateway.start(fixtures.fourInlineSteps, { log: log.file, ms: 2_500 });
        await until('the second step runs in a fast host', async () => {
          if (log.count('second starts') === 0) return false;
          if (await isLeased(run)) return true;
          await run.handle.terminate();
          log = new CallLog();
          run = await gateway.start(fixtures.fourInlineSteps, { log: log.file, ms: 2_500 });
          return false;
        });
        const fields = await redis.hlen(await journalOf(run));
        await redis.flushall();
        await until('the host has restored its journal, or is too late', async () => {
          const key = await journalOf(run);
          return (key !== '' && (await redis.hlen(key)) >= fields) || log.count('second ends') > 0;
        });
        await host.kill();
        if (isInSecond(log)) return { log, run };
        await run.handle.terminate();
        return undefined;
      });
      const runner = new CodeRunner(fixtures.fourInlineSteps);
      const other = await TestWorker.start({ queue, runner, redis: testRedis(own.url) });
      expect(await outputOf(run)).toEqual({ last: 'fourth' });
      expect(log.count('first starts')).toBe(1);
      expect(log.count('second starts')).toBe(2);
      await other.stop();
      gateway.close();
    }));
});

describe('a guardian whose worker alone has lost the state store', () => {
  const queue = `blind-${randomUUID()}`;
  // Time for the guardian's worker to look, to give its task away, and to wait.
  const slow = charges('four-slow-charges', 5_000);
  const runner = new CodeRunner(slow);
  let gateway: Starter;
  let host: FastWorker;
  let hosts: Redis;
  let blind: TestWorker;
  beforeAll(async () => {
    gateway = await starter(client, queue, own.url);
    hosts = testRedis(own.url);
    await connected(hosts, 30_000);
    const losses = new LossWatch(hosts).start();
    const parts = { runner, redis: hosts, losses, client, logger: pino({ level: 'silent' }) };
    host = serveFastJobs(new FastJobQueue(testRedis(own.url), queue), { parts, most: 8, graceMs: 0 });
    blind = await TestWorker.start({ queue, runner, redis: testRedis(NO_REDIS) });
  });
  afterAll(async () => {
    await blind.stop();
    await host.stop();
    hosts.disconnect();
    gateway.close();
  });

  it('begins nothing while the fast host goes on, and says what it waits for', () =>
    unlessStill(async () => {
      runner.events.length = 0;
      const run = await gateway.start(slow, { n: 0 });
      await waitsVisibly(run);
      expect(await outputOf(run)).toEqual({ n: 4 });
      expect(runner.events).toEqual(everyStepOnce);
      expect(await queued(run)).toEqual([]);
    }));
});

describe('a segment that a worker has begun which then died', () => {
  it.concurrent.for(['guarded', 'plain'] as const)(
    'is not begun by a worker without the state store, but by the next that has it (%s)',
    (kind) =>
      unlessStill(async () => {
        const queue = `begun-${randomUUID()}`;
        const gateway = await starter(client, queue, own.url);
        const { log, run } = await caught('the second step', async () => {
          const log = new CallLog();
          const input = { log: log.file, ms: 1_500 };
          const dies = await WorkerProcess.start(queue, { REDIS_URL: own.url });
          const run =
            kind === 'guarded'
              ? await gateway.start(fixtures.fourInlineSteps, input)
              : { handle: await start(client, fixtures.fourInlineSteps, input, queue) };
          await until('the second step runs', () => log.count('second starts') > 0);
          await dies.kill();
          if (isInSecond(log)) return { log, run };
          await run.handle.terminate();
          return undefined;
        });
        const runner = new CodeRunner(fixtures.fourInlineSteps);
        const blind = await TestWorker.start({ queue, runner, redis: testRedis(NO_REDIS) });
        await waitsVisibly(run);
        const connected = await TestWorker.start({ queue, runner, redis: testRedis(own.url) });
        // Of two workers either may be asked next, and each time that it is this one the run waits for twice as long.
        await blind.stop();
        expect(await outputOf(run)).toEqual({ last: 'fourth' });
        expect(log.count('first starts')).toBe(1);
        expect(log.count('second starts')).toBe(2);
        await connected.stop();
        gateway.close();
      }),
  );
});

describe('a fast host that stands still for longer than its lease', () => {
  it('begins nothing when it wakes up beside the worker that has taken over', async () => {
    const queue = `stalled-${randomUUID()}`;
    const gateway = await starter(client, queue, own.url);
    const host = await WorkerProcess.start(queue, { REDIS_URL: own.url });
    const startsIn = (log: CallLog) => STEPS.map((step) => log.count(`${step} starts`));
    const { log, run, byHost } = await caught('the second step', async () => {
      const log = new CallLog();
      const run = await gateway.start(fixtures.fourInlineSteps, { log: log.file, ms: 1_000 });
      await until('the second step runs', () => log.count('second starts') > 0);
      const isItsOwn = await isLeased(run);
      host.stall();
      if (isItsOwn && log.count('second ends') === 0) return { log, run, byHost: startsIn(log) };
      host.resume();
      await run.handle.terminate();
      return undefined;
    });
    const runner = new CodeRunner(fixtures.fourInlineSteps);
    const other = await TestWorker.start({ queue, runner, redis: testRedis(own.url) });
    await until('the other has taken over', () => log.count('third starts') > 0);
    host.resume();
    expect(await outputOf(run)).toEqual({ last: 'fourth' });
    await sleep(1_500);
    // All that was begun since is the other's.
    const byOther = STEPS.map((step) => runner.events.filter((event) => event === `${step} starts`).length);
    expect(startsIn(log)).toEqual(byHost.map((count, i) => count + (byOther[i] ?? 0)));
    expect(byOther[0], 'what had ended').toBe(0);
    for (const count of byOther.slice(1)) expect(count).toBeGreaterThanOrEqual(1);
    await host.kill();
    await other.stop();
    gateway.close();
  });
});
