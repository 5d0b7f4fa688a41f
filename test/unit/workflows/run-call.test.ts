import { beforeEach, describe, expect, it } from 'vitest';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import type { StageCall, StageOutcome, StagePlacement } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import type { RunHost } from '../../../workflows/interpreter/index.js';
import { runCall } from '../../../workflows/interpreter/run-call.js';
import type { At, Run } from '../../../workflows/interpreter/state.js';

/** A call of a pinned function, on a host whose clock goes on only while a call lies in a queue. */

const stage: StagePlan = {
  id: 'sum',
  kind: 'code',
  model: 'total',
  with: {},
  codeVersion: '1',
  input: {},
  policy: {
    retry: { attempts: 3, initialMs: 1, factor: 1, maxMs: 1 },
    timeout: { attemptMs: 60_000, totalMs: 300_000 },
    execution: 'queued',
  },
};
const call = {
  stage: 'sum',
  kind: 'code',
  model: 'total',
  with: {},
  codeVersion: '1',
  retry: stage.policy.retry,
} as StageCall;
const placed: StagePlacement = {
  connector: 'code',
  device: 'worker',
  queue: 'own',
  elsewhere: [{ queue: 'other', device: 'worker' }],
};
const done = { output: { n: 1 } } as unknown as StageOutcome;

let now: number;
let shown: string[];
let tried: { queue: string; attempts: number; since: number | undefined }[];
/** Queues on which a worker takes a call, and those that Temporal says are served. */
let takes: (queue: string) => boolean;
let serves: (queue: string) => boolean;
/** Attempts that each wait in a queue follows, and whether one was lost. */
let begun: number;
let lost: boolean;
/** Whether the run began with the release that ends such calls in time. */
let isNew: boolean;
beforeEach(() => {
  now = 0;
  shown = [];
  tried = [];
  takes = () => false;
  serves = () => false;
  begun = 0;
  lost = false;
  isNew = true;
});

function go(
  of: Partial<StageCall> = {},
  deadlineMs = 10 ** 9,
  { patienceMs, queueMs }: { patienceMs?: number; queueMs?: number } = {},
): Promise<StageOutcome> {
  const host = {
    now: () => now,
    async runStage({ policy }: StagePlan, _input: unknown, { since }: StageCall, { queue }: StagePlacement) {
      tried.push({ queue, attempts: policy.retry.attempts, since });
      if (takes(queue)) return done;
      now += policy.timeout.queueMs ?? policy.timeout.totalMs;
      throw new StageError('QUEUE_TIMEOUT', 'nobody took it', { begun, ...(lost && { lost }) });
    },
    serving: async (queues: readonly string[]) => queues.find(serves),
    since: () => isNew,
  } as unknown as RunHost;
  const run = {
    table: { doing: (_: string, doing: string) => shown.push(doing) },
    deadline: {
      get leftMs() {
        return deadlineMs - now;
      },
      exceeded: () => new StageError('DEADLINE_EXCEEDED', 'too long', { stage: 'sum' }),
    },
  } as unknown as Run;
  const timeout = { ...stage.policy.timeout, ...(queueMs !== undefined && { queueMs }) };
  const policy = { ...stage.policy, timeout, ...(patienceMs !== undefined && { patienceMs }) };
  return runCall(run, { host } as At, { ...stage, policy }, {}, { ...call, ...of }, placed);
}

describe('a call of a pinned function', () => {
  it('is one call where a worker takes it', async () => {
    takes = () => true;
    await expect(go()).resolves.toBe(done);
    expect([tried.length, shown]).toEqual([1, []]);
  });

  it('waits, visibly, and on its own queue until a worker of its version comes', async () => {
    takes = () => now > 100_000;
    await expect(go()).resolves.toBe(done);
    expect(new Set(tried.map(({ queue }) => queue))).toEqual(new Set(['own']));
    expect(shown[0]).toBe('waiting for code total@1');
    expect(tried.length).toBeLessThan(10);
  });

  it('goes to a worker whose body stands in for the version', async () => {
    serves = takes = (queue) => queue === 'other';
    await expect(go()).resolves.toBe(done);
    expect([tried.map(({ queue }) => queue), shown]).toEqual([['own', 'other'], []]);
  });

  it('waits longer where its worker is only busy, and says nothing', async () => {
    serves = () => true;
    takes = () => now > 60_000;
    await expect(go()).resolves.toBe(done);
    expect([tried.length, shown]).toEqual([4, []]);
  });

  it('fails with a code when its time is over, and with that of the run when this is over', async () => {
    await expect(go()).rejects.toMatchObject({ code: 'CODE_NOT_FOUND', message: expect.stringContaining('total@1') });
    expect(now).toBe(300_000);
    now = 0;
    const late = go({}, 300_000);
    await expect(late).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('total@1'),
    });
  });

  it('has no more attempts than its policy says, whatever workers are lost', async () => {
    begun = 1;
    await expect(go()).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
    expect(tried.map(({ attempts }) => attempts)).toEqual([3, 2, 1]);
  });

  it('says that a worker was lost, whose attempt may have ended: on its own queue too, the next attempt is a first one', async () => {
    now = 7;
    [begun, lost] = [1, true];
    await expect(go()).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
    expect(tried.map(({ since }) => since)).toEqual([undefined, 7, 7]);
  });

  it('is left alone where nothing pins it', async () => {
    await expect(go({ codeVersion: undefined as never })).rejects.toMatchObject({ code: 'QUEUE_TIMEOUT' });
    expect(tried.length).toBe(1);
  });
});

describe('a call of a pinned function that need not wait for all of its time', () => {
  const limited = (limits: { patienceMs?: number; queueMs?: number }) => go({}, 10 ** 9, limits);
  const absent = { code: 'CODE_NOT_FOUND', message: expect.stringContaining('total@1') };

  it.each([2_000, 15_000])('fails after a patience of %i ms where no worker has the version', async (patienceMs) => {
    await expect(limited({ patienceMs })).rejects.toMatchObject(absent);
    expect(now).toBe(patienceMs);
  });

  it('gives a worker half a second without any patience', async () => {
    await expect(limited({ patienceMs: 0 })).rejects.toMatchObject(absent);
    expect(now).toBe(500);
  });

  it('waits beyond its patience for a worker that is busy', async () => {
    serves = () => true;
    takes = () => now > 60_000;
    await expect(limited({ patienceMs: 2_000 })).resolves.toBe(done);
  });

  it('is patient anew when a worker with the version was there', async () => {
    serves = () => now < 40_000;
    await expect(limited({ patienceMs: 15_000 })).rejects.toMatchObject(absent);
    expect(now).toBe(35_000 + 60_000 + 15_000);
  });

  it.each([
    ['no worker has', false],
    ['is busy', true],
  ])('fails when all its waits together are as long as its limit, of a version that %s', async (_, isServed) => {
    serves = () => isServed;
    for (const queueMs of [2_000, 12_000]) {
      now = 0;
      const message = expect.stringContaining(`within ${queueMs} ms`);
      await expect(limited({ queueMs })).rejects.toMatchObject({ code: 'QUEUE_TIMEOUT', message });
      expect(now).toBe(queueMs);
    }
  });

  it('waits until its total in a history from before', async () => {
    isNew = false;
    await expect(limited({ patienceMs: 2_000, queueMs: 2_000 })).rejects.toMatchObject(absent);
    expect(now).toBe(300_000);
  });
});
