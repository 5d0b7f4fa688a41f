import { pino } from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { code, pipeline } from '../../../../pipelines/index.js';
import type { Priority } from '../../../../pipelines/plan/index.js';
import type { Placement } from '../../../../pipelines/run/index.js';
import { Admission, Backlog, TenantTurns } from '../../../../runs/admission/index.js';
import { expectedWaitMs, type Queue, type QueueStats, type Turns } from '../../../../runs/admission/queue-stats.js';

const logger = pino({ level: 'silent' });
const row = (tasks: number, takenPerSecond: number, oldestMs = 0) => ({ tasks, takenPerSecond, oldestMs });
const PRIORITIES: readonly Priority[] = ['interactive', 'default', 'batch'];

describe('the wait that is to be expected', () => {
  const [interactive, normal, batch] = [1, 3, 5];

  test('is what goes before, at the rate of all tasks', () => {
    const stats: QueueStats = new Map([
      [interactive, row(4, 1)],
      [normal, row(6, 1)],
      [batch, row(20, 0.5)],
    ]);
    expect(expectedWaitMs(stats, interactive)).toBe((4 / 2.5) * 1000);
    expect(expectedWaitMs(stats, normal)).toBe((10 / 2.5) * 1000);
    expect(expectedWaitMs(stats, batch)).toBe((30 / 2.5) * 1000);
  });

  test('is none where nothing waits, whatever waits behind', () => {
    expect(expectedWaitMs(new Map(), normal)).toBe(0);
    expect(expectedWaitMs(new Map([[batch, row(900, 1)]]), normal)).toBe(0);
  });

  test('is what the oldest has waited where nothing is taken: no worker, or always something more urgent', () => {
    expect(expectedWaitMs(new Map([[normal, row(2, 0, 7_000)]]), normal)).toBe(7_000);
    const starved: QueueStats = new Map([
      [interactive, row(0, 10)],
      [batch, row(1, 0, 40_000)],
    ]);
    expect(expectedWaitMs(starved, batch)).toBe(40_000);
    expect(expectedWaitMs(starved, interactive)).toBe(0);
  });

  test.each<[string, Turns, number]>([
    ['none of its own', { share: 0, others: 1 }, 1],
    ['a quarter', { share: 0.25, others: 1 }, 50 + 51],
    ['a quarter, beside two others', { share: 0.25, others: 2 }, 50 + 102],
    ['a half, beside two others', { share: 0.5, others: 2 }, 200],
    ['all of them', { share: 1, others: 1 }, 200],
  ])(
    'is, for a tenant that takes turns with others, of its own tasks and theirs until then: %s',
    (_, turns, before) => {
      const stats: QueueStats = new Map([
        [interactive, row(10, 1)],
        [normal, row(200, 1)],
      ]);
      expect(expectedWaitMs(stats, normal, turns)).toBe(((10 + before) / 2) * 1000);
      expect(expectedWaitMs(new Map([[0, row(200, 2)]]), normal, turns)).toBe((before / 2) * 1000);
    },
  );

  test('is what the oldest has waited for every tenant where nothing is taken', () => {
    expect(expectedWaitMs(new Map([[normal, row(9, 0, 7_000)]]), normal, { share: 0, others: 1 })).toBe(7_000);
  });

  test('is the same for all where the server does not tell priorities apart', () => {
    expect(expectedWaitMs(new Map([[0, row(10, 2)]]), interactive)).toBe(5_000);
  });
});

describe('statistics', () => {
  const queue: Queue = { name: 'millrace', type: 'activity' };
  const waiting = (tasks: number): QueueStats => new Map([[3, row(tasks, 1)]]);

  test('are asked for once a second while runs come, and nobody waits; after a pause the first one does', async () => {
    let now = 0;
    let queries = 0;
    const backlog = new Backlog(
      async () => waiting(++queries),
      logger,
      () => now,
    );
    expect(await backlog.waitMs(queue, 3)).toBe(1_000);
    now = 900;
    expect(await backlog.waitMs(queue, 3)).toBe(1_000);
    now = 1_500;
    expect(await backlog.waitMs(queue, 3)).toBe(1_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await backlog.waitMs(queue, 3)).toBe(2_000);
    now = 60_000;
    expect(await backlog.waitMs(queue, 3)).toBe(3_000);
    expect(queries).toBe(3);
  });

  test('that cannot be had shed nothing, and old ones do not count', async () => {
    let now = 0;
    let fails = false;
    const ask = async () => {
      if (fails) throw new Error('away');
      return waiting(5);
    };
    const backlog = new Backlog(ask, logger, () => now);
    expect(await backlog.waitMs(queue, 3)).toBe(5_000);
    fails = true;
    now = 60_000;
    expect(await backlog.waitMs(queue, 3)).toBe(0);
  });
});

describe('the part of a tenant in the queues', () => {
  /** Running runs of each tenant, and the counts that were asked for. */
  function counted(runs: Readonly<Record<string, number>>) {
    const asked: (string | undefined)[] = [];
    const all = Object.values(runs).reduce((sum, count) => sum + count, 0);
    let now = 0;
    const count = async (tenant?: string) => {
      asked.push(tenant);
      if (tenant === 'unknown') throw new Error('away');
      return tenant === undefined ? all : (runs[tenant] ?? 0);
    };
    const turns = new TenantTurns(count, logger, () => now);
    return {
      asked,
      turns,
      wait: (ms: number) => {
        now += ms;
      },
    };
  }

  test('is that of its running runs, beside the tenants that have started runs in the last minute', async () => {
    const runs = { greedy: 30, acme: 10 };
    expect(await counted(runs).turns.of('acme')).toEqual({ share: 0.25, others: 1 });
    const { turns, wait } = counted(runs);
    for (const tenant of ['old', 'greedy', 'acme']) turns.note(tenant);
    wait(30_000);
    for (const tenant of ['greedy', 'modest']) turns.note(tenant);
    wait(31_000);
    expect(await turns.of('acme')).toEqual({ share: 0.25, others: 2 });
    expect(await turns.of('greedy')).toEqual({ share: 0.75, others: 1 });
  });

  test('is counted once in two seconds, for a few tenants in a second, and is unknown beyond that', async () => {
    const { asked, turns, wait } = counted({ acme: 1 });
    await Promise.all([turns.of('acme'), turns.of('acme')]);
    wait(1_900);
    await turns.of('acme');
    expect(asked).toEqual(['acme', undefined]);
    const others = await Promise.all(Array.from({ length: 9 }, (_, i) => turns.of(`t${i}`)));
    expect(others.filter((each) => each !== undefined)).toHaveLength(2);
    expect(asked).toHaveLength(4);
  });

  test('is unknown if Temporal cannot be asked', async () => {
    expect(await counted({}).turns.of('unknown')).toBeUndefined();
  });
});

describe('a run', () => {
  const nothing = z.object({ text: z.string() });
  const step = code('step', { input: nothing, output: nothing }, (input) => input);
  const slow = pipeline('slow', { input: nothing, deadline: '20s' }, ({ input, stage }) => ({
    text: stage('far', step, { text: stage('near', step, { text: input.text }).text }).text,
  }));
  const place = (more: Partial<Placement[string]> = {}): Placement => ({
    near: { connector: 'code', device: 'worker', queue: 'near' },
    far: { connector: 'code', device: 'worker', queue: 'far', ...more },
  });

  /** Which priorities may start, by the wait in each queue. */
  function admitted(waits: Readonly<Record<string, number>>, placement: Placement = place(), repeated = false) {
    const admission = new Admission({
      slots: { take: async () => 'taken', release: () => undefined },
      backlog: { waitMs: async ({ name, type }) => waits[`${type} ${name}`] ?? 0 },
      stateOf: async () => 'running',
      taskQueue: 'millrace',
      logger,
      registry: new Registry(),
    });
    const admit = (priority: Priority) =>
      admission.admit({ id: 'slow-1', pipeline: slow, placement, caller: { tenant: 'acme' }, priority, repeated }).then(
        () => 'ok',
        ({ code, details }) => `${code} ${details.retryAfterMs}`,
      );
    return Promise.all(PRIORITIES.map(admit));
  }

  test.each([
    [9_999, 'ok', 'ok', 'ok'],
    [11_500, 'ok', 'ok', 'OVERLOADED 1500'],
    [15_100, 'ok', 'OVERLOADED 1000', 'OVERLOADED 5100'],
    [20_001, 'OVERLOADED 1000', 'OVERLOADED 5001', 'OVERLOADED 10001'],
    [500_000, 'OVERLOADED 60000', 'OVERLOADED 60000', 'OVERLOADED 60000'],
  ])('of 20 s that would wait %i ms: interactive %s, default %s, batch %s', async (wait, ...expected) => {
    expect(await admitted({ 'activity far': wait })).toEqual(expected);
  });

  test('is held up by the queue of the workflows too, and not by queues that it does not use', async () => {
    expect(await admitted({ 'workflow millrace': 11_000 })).toEqual(['ok', 'ok', 'OVERLOADED 1000']);
    expect(await admitted({ 'activity other': 90_000, 'workflow near': 90_000 })).toEqual(['ok', 'ok', 'ok']);
  });

  test('that can be served by another device waits for the quicker one', async () => {
    const placement = place({ elsewhere: [{ queue: 'spare', device: 'gpu1' }] });
    expect(await admitted({ 'activity far': 90_000 }, placement)).toEqual(['ok', 'ok', 'ok']);
    expect(await admitted({ 'activity far': 90_000, 'activity spare': 12_000 }, placement)).toEqual([
      'ok',
      'ok',
      'OVERLOADED 2000',
    ]);
  });

  test('is not refused for what others have in the queue, if its tenant takes turns with them', async () => {
    const admission = (turns?: { readonly note: () => void; readonly of: () => Promise<Turns | undefined> }) =>
      new Admission({
        slots: { take: async () => 'taken', release: () => undefined },
        backlog: new Backlog(async () => new Map([[3, row(200, 2)]]), logger),
        ...(turns && { turns }),
        stateOf: async () => 'absent',
        taskQueue: 'millrace',
        logger,
        registry: new Registry(),
      });
    const noted: string[] = [];
    const by = (tenant: string, share: number | undefined) =>
      admission({
        note: () => void noted.push(tenant),
        of: async () => (share === undefined ? undefined : { share, others: 1 }),
      })
        .admit({ id: 'slow-1', pipeline: slow, placement: place(), caller: { tenant } })
        .then(
          () => 'ok',
          ({ code }) => code,
        );
    expect(await by('greedy', 0.995)).toBe('OVERLOADED');
    expect(await by('modest', 0)).toBe('ok');
    // As long as it is not known, the whole queue counts.
    expect(await by('new', undefined)).toBe('OVERLOADED');
    expect(noted).toEqual(['greedy', 'modest', 'new']);
  });

  test('that is there already is given, however long the queues are', async () => {
    expect(await admitted({ 'activity far': 90_000 }, place(), true)).toEqual(['ok', 'ok', 'ok']);
  });
});
