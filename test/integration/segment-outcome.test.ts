import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, MillraceError, type Pipeline, pipeline } from '../../pipelines/index.js';
import { wholeRun } from '../../pipelines/run/build-segment.js';
import type { RunResult, Segment, SegmentOutcome } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { guardedKey, SegmentJournal } from '../../stores/journal/index.js';
import { connected, LossWatch } from '../../stores/redis/index.js';
import { runFastJob } from '../../workers/hosts/fast-host.js';
import { ResultPace } from '../../workers/hosts/result-pace.js';
import { createSegmentActivity } from '../../workers/hosts/segment-executor.js';
import { CodeRunner, contextOf } from '../support/in-process.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, connect, failureOf, poolOf, until } from '../support/runs.js';
import { TestWorker, testRedis } from '../support/test-worker.js';

const one = z.object({ n: z.number() });
const inline = { execution: 'inline' } as const;
let client: Client;
let redis: Redis;
beforeAll(async () => {
  client = await connect();
  redis = testRedis();
  await connected(redis, 30_000);
});
afterAll(async () => {
  redis.disconnect();
  await client.connection.close();
});

describe('a segment in its worker', () => {
  let added = 0;
  const add = code('add', { input: one, output: one }, ({ n }) => {
    added += 1;
    return { n: n + 1 };
  });
  const single = pipeline('single', { input: one }, ({ input, stage }) => ({
    n: stage('a', add, { n: input.n }, inline).n,
  })) as unknown as Pipeline;
  let waiting = 0;
  let goOn: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const wait = code('wait', { input: one, output: one }, async ({ n }) => {
    waiting += 1;
    await gate;
    return { n };
  });
  const two = pipeline('two', { input: one }, ({ input, stage }) => {
    const { n } = stage('a', add, { n: input.n }, inline);
    return { n: stage('b', wait, { n }, { ...inline, retry: { attempts: 3 } }).n };
  }) as unknown as Pipeline;
  /** As Temporal knows runs; it knows none of this id. */
  const runId = randomUUID();
  const run = (
    workflowId: string,
    waitedMs: number,
    by = redis,
    losses = new LossWatch(by),
    of = single,
    { ends, pace }: { ends?: AbortSignal; pace?: Pick<ResultPace, 'turn'> } = {},
  ): Promise<SegmentOutcome> => {
    const context = {
      info: {
        workflowExecution: { workflowId, runId },
        currentAttemptScheduledTimestampMs: Date.now() - waitedMs,
      },
      cancellationSignal: new AbortController().signal,
      client,
    } as unknown as Context;
    const segment = {
      path: 'a',
      prefix: '',
      steps: of.plan.stages,
      context: contextOf(of),
      leftMs: 10_000,
      reserved: {},
    };
    const activity = createSegmentActivity({ runner: new CodeRunner(of), redis: by, losses }, ends, pace);
    return asyncLocalStorage.run(context, () => activity({ input: { n: 0 } }, { segment, askedAt: Date.now() }));
  };

  it('has no more of the deadline than it has left when it begins', async () => {
    expect((await run(`segment-${randomUUID()}`, 2_000)).failure).toBeUndefined();
    expect((await run(`segment-${randomUUID()}`, 11_000)).failure).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  describe('whose outcome Temporal does not have yet, while the state store loses its journal', () => {
    let own: OwnRedis;
    beforeAll(async () => {
      own = await ownRedis(address('REDIS_URL'));
      await own.start();
    });
    afterAll(() => own.kill());

    const worker = async () => {
      const connection = testRedis(own.url);
      await connected(connection, 30_000);
      const watches = () => connection.keys('millrace:watch:*-*');
      const others = new Set(await watches());
      const losses = new LossWatch(connection).start();
      await until('it watches the store', async () => (await watches()).some((key) => !others.has(key)));
      return { redis: connection, losses };
    };

    it.each(['in its process', 'in another process'])('is not repeated %s', async (where) => {
      const first = await worker();
      const second = where === 'in its process' ? first : await worker();
      const id = `segment-${randomUUID()}`;
      try {
        const outcome = await run(id, 0, first.redis, first.losses);
        const before = added;
        await first.redis.flushall();
        const again = await run(id, 0, second.redis, second.losses);
        expect(again.done).toEqual(outcome.done);
        expect(again.failure).toBeUndefined();
        expect(added).toBe(before);
      } finally {
        for (const { redis: connection } of new Set([first, second])) connection.disconnect();
      }
    });

    it('does not begin from the start while the attempt before it is in the middle', async () => {
      const [first, second] = [await worker(), await worker()];
      const id = `segment-${randomUUID()}`;
      try {
        const running = run(id, 0, first.redis, first.losses, two);
        await until('its second step has begun', () => waiting === 1);
        const before = added;
        await first.redis.flushall();
        const again = run(id, 0, second.redis, second.losses, two);
        await until('its second step has begun again', () => waiting === 2);
        goOn();
        expect((await again).failure).toBeUndefined();
        expect(await running).toMatchObject({ interrupted: true });
        expect(added).toBe(before);
      } finally {
        for (const { redis: connection } of [first, second]) connection.disconnect();
      }
    });

    it('is written again by a fast host too: its guardian begins from there', async () => {
      const { redis: store, losses } = await worker();
      const id = `fast-${randomUUID()}`;
      const context = { ...contextOf(single), guarded: 'guard', answerTo: 'nobody' };
      const segment = wholeRun({ n: 0 }, context) as Segment;
      const handle = {
        describe: async () => ({ status: { name: 'RUNNING' }, raw: {} }),
        signal: async () => undefined,
      };
      const guardian = {
        withDeadline: (_: number, work: () => Promise<unknown>) => work(),
        workflow: { getHandle: () => handle },
      } as unknown as Client;
      const logger = pino({ level: 'silent' });
      const parts = { runner: new CodeRunner(single), redis: store, losses, client: guardian, logger };
      try {
        await runFastJob({ id, segment, at: Date.now() }, parts, new AbortController().signal);
        await store.flushall();
        const key = guardedKey(id, 'guard');
        await until('its journal is there again', async () => (await store.exists(key)) === 1);
        const { journal, ranOut } = await SegmentJournal.open(store, key, {
          ttlMs: 60_000,
          leaseMs: 3_000,
          askedAt: 1,
        });
        expect([journal.hasEnds, ranOut]).toEqual([true, false]);
      } finally {
        store.disconnect();
      }
    });

    it('is returned though its worker ends, where its journal lacks what was done', async () => {
      const first = await worker();
      const cut = code('cut', { input: one, output: one }, ({ n }) => {
        first.redis.disconnect();
        return { n };
      });
      const of = pipeline('cut', { input: one }, ({ input, stage }) => ({
        n: stage('a', cut, { n: input.n }, inline).n,
      })) as unknown as Pipeline;
      const ending = new AbortController();
      const turn: ResultPace['turn'] = async (_run, _bytes, { signal } = {}) => {
        ending.abort();
        signal?.throwIfAborted();
      };
      const outcome = await run(`segment-${randomUUID()}`, 0, first.redis, first.losses, of, {
        ends: ending.signal,
        pace: { turn },
      });
      expect(outcome.away).toBeUndefined();
      expect(outcome.rows).toHaveLength(1);
    });

    it('begins after the length of a lease where its process is lost too', async () => {
      const first = await worker();
      const id = `segment-${randomUUID()}`;
      const lost = { onLoss: () => () => undefined, mayLack: async () => true };
      try {
        await run(id, 0, first.redis, lost as unknown as LossWatch);
        const before = added;
        await first.redis.flushall();
        const again = await run(id, 0, first.redis, lost as unknown as LossWatch);
        expect(again.failure).toBeUndefined();
        expect(added).toBe(before + 1);
      } finally {
        first.redis.disconnect();
      }
    });
  });

  it('stays in its journal where its worker ends before its result may be returned', async () => {
    const id = `segment-${randomUUID()}`;
    const own = new ResultPace();
    await own.turn(runId, 3_000_000);
    let waits = false;
    const turn: typeof own.turn = (...asked) => {
      waits = true;
      return own.turn(...asked);
    };
    const ending = new AbortController();
    const losses = new LossWatch(redis);
    const running = run(id, 0, redis, losses, single, { ends: ending.signal, pace: { turn } });
    await until('it has ended', () => waits);
    const before = added;
    ending.abort();
    expect(await running).toEqual({ done: {}, rows: [], away: 'worker' });
    const again = await run(id, 0);
    expect(again.failure).toBeUndefined();
    expect(again.rows).toHaveLength(1);
    expect(added).toBe(before);
  });

  it('leaves its record for as long as its run may need it, and for two minutes when that has ended', async () => {
    const id = `segment-${randomUUID()}`;
    await run(id, 0);
    const left = () => redis.pttl(`millrace:{${id}}:journal:${runId}:a`);
    // Its outcome is lost if Temporal is away for longer than that: the next worker would begin everything again.
    expect(await left()).toBeGreaterThan(300_000);
    // Temporal does not know this run.
    await until('the record is kept for less', async () => (await left()) <= 120_000);
    expect(await left()).toBeGreaterThan(60_000);
  });
});

describe('a segment of a run', () => {
  const big = code('big', { input: one, output: z.object({ text: z.string(), n: z.number() }) }, ({ n }) => ({
    text: 'x'.repeat(1_200_000),
    n,
  }));
  const length = code('length', { input: z.object({ text: z.string() }), output: one }, ({ text }) => ({
    n: text.length,
  }));
  let calls = 0;
  const flaky = code('flaky', { input: one, output: one }, async () => {
    calls += 1;
    await sleep(150);
    throw new MillraceError('BACKEND_UNAVAILABLE', 'nobody there');
  });
  const of = pipeline('segment-outcomes', { input: one, deadline: '30s' }, ({ input, stage }) => {
    const first = stage('first', big, { n: input.n }, inline);
    const second = stage('second', big, { n: stage('length', length, { text: first.text }, inline).n }, inline);
    return { n: stage('last', length, { text: second.text }, inline).n };
  }) as unknown as Pipeline;
  const returned = pipeline('segment-too-large', { input: one, deadline: '30s' }, ({ input, stage }) => {
    const first = stage('first', big, { n: input.n }, inline);
    return { first: first.text, second: stage('second', big, { n: first.n }, inline).text };
  }) as unknown as Pipeline;
  const failing = pipeline('segment-lost', { input: one, deadline: '30s' }, ({ input, stage }) => ({
    n: stage('flaky', flaky, { n: input.n }, { ...inline, retry: { attempts: 4, backoff: { initial: 100 } } }).n,
  })) as unknown as Pipeline;

  const queue = `segment-outcome-${randomUUID()}`;
  let own: OwnRedis;
  let worker: TestWorker;
  beforeAll(async () => {
    own = await ownRedis(address('REDIS_URL'));
    await own.start();
    const runners = new Map(
      [of, returned, failing].flatMap((each) => [...each.code.keys()].map((name) => [name, new CodeRunner(each)])),
    );
    const runner: Pick<CodeRunner, 'run'> = {
      run: (input, call, attempt) => (runners.get(call.model) as CodeRunner).run(input, call, attempt),
    };
    const journals = testRedis(own.url);
    await connected(journals, 30_000);
    worker = await TestWorker.start({ queue, runner: runner as CodeRunner, redis: journals });
  });
  afterAll(async () => {
    await worker.stop();
    await own.kill();
  });
  const start = ({ name, plan }: Pipeline) =>
    client.workflow.start(name, {
      taskQueue: queue,
      workflowId: `${name}-${randomUUID()}`,
      args: [{ n: 0 }, { plan, placement: place(plan, poolOf, queue), tenant: 'default' }],
    });

  it('may pass more from step to step, in all, than a payload of a history can hold', async () => {
    expect(((await (await start(of)).result()) as RunResult).output).toEqual({ n: 1_200_000 });
  });

  it('fails when it would return more', async () => {
    expect(await failureOf(await start(returned))).toMatchObject({
      code: 'RESULT_TOO_LARGE',
      stage: expect.stringMatching(/^(first|second)$/),
    });
  });

  it('whose journal is lost has no more attempts for it', async () => {
    const handle = await start(failing);
    // At least: a process that stands still may find more.
    await until('the second attempt', () => calls >= 2);
    await own.kill();
    expect(await failureOf(handle)).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(calls).toBe(4);
  });
});
