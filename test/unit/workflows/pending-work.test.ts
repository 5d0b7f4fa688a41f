import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import type { RunContext, StageCall, StagePlacement } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { Deadline } from '../../../workflows/interpreter/deadline.js';
import { PendingWork } from '../../../workflows/pending-work.js';
import { TemporalHost } from '../../../workflows/temporal-host.js';
import { inHistory } from '../../support/in-history.js';

const task = { historyLength: 3, startTime: new Date(0) };
/** What ends the activities that have begun. */
const ends: (() => void)[] = [];
const scheduled: { readonly options: { readonly scheduleToCloseTimeout: number } }[] = [];
const outbound = {
  /** A timer ends the workflow task. */
  async startTimer() {
    await microtasks();
    task.historyLength += 5;
  },
  scheduleActivity(activity: (typeof scheduled)[number]) {
    scheduled.push(activity);
    return new Promise((resolve) => {
      ends.push(() => resolve({ output: {} }));
    });
  },
};
const historyHas = inHistory({
  info: task,
  nextSeqs: { timer: 1, activity: 1 },
  interceptors: { outbound: [outbound] },
  dispatchBufferedSignals: () => undefined,
});

/** As Temporal's `condition`: looked at after something has happened. */
const conditions: { holds: () => boolean; resolve: () => void; reject: (error: Error) => void }[] = [];
const until = (holds: () => boolean) =>
  new Promise<void>((resolve, reject) => {
    if (holds()) resolve();
    else conditions.push({ holds, resolve, reject });
  });
const microtasks = () => new Promise<void>((resolve) => setImmediate(resolve));
async function settled(): Promise<void> {
  for (;;) {
    await microtasks();
    const at = conditions.findIndex(({ holds }) => holds());
    const [one] = at < 0 ? [] : conditions.splice(at, 1);
    if (one === undefined) return;
    one.resolve();
  }
}

/** Work that ends when it is told to. */
function works() {
  const begun: number[] = [];
  const running = new Map<number, { readonly end: () => void; readonly fail: (error: Error) => void }>();
  const work = (name: number) => () => {
    begun.push(name);
    return new Promise<number>((resolve, reject) => {
      running.set(name, { end: () => resolve(name), fail: reject });
    });
  };
  const end = (name: number) => running.get(name)?.end();
  const fail = (name: number) => running.get(name)?.fail(new Error('failed'));
  const cancel = (name: number) => running.get(name)?.fail(new CancelledFailure('cancelled'));
  return { begun, work, end, fail, cancel };
}

/** Begins another workflow task, for what has asked for one. */
const tasks: (() => void)[] = [];
const nextTask = () =>
  new Promise<void>((resolve) => {
    tasks.push(() => {
      task.historyLength += 5;
      resolve();
    });
  });

/** With so much under way, of which so much waits for other work. */
function filled(many: number, reading = 0) {
  const pending = new PendingWork(until, nextTask);
  const all = works();
  for (let i = 0; i < many; i++) pending.begin(all.work(i), i < reading).catch(() => undefined);
  return { pending, ...all };
}

beforeEach(() => {
  for (const list of [ends, scheduled, conditions, tasks]) list.length = 0;
  task.historyLength = 3;
});

describe('what is pending of a run', () => {
  it('begins at once, in the same task, while Temporal takes it', () => {
    const pending = new PendingWork(until);
    const result = Promise.resolve(1);
    expect(pending.begin(() => result)).toBe(result);
    expect(filled(1_500).begun).toHaveLength(1_500);
  });

  it('waits beyond that, and begins in its order as other work ends or fails', async () => {
    const { pending, begun, work, end, fail } = filled(1_500);
    const later = [1_500, 1_501, 1_502].map((name) => pending.begin(work(name)));
    await settled();
    expect(begun).toHaveLength(1_500);
    end(7);
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500]);
    fail(3);
    end(1_500);
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500, 1_501, 1_502]);
    expect(await later[0]).toBe(1_500);
  });

  it('gives its place back where it could not begin', async () => {
    const { pending, begun, work, end } = filled(1_499);
    const broken = () => {
      throw new Error('broken');
    };
    expect(() => pending.begin(broken)).toThrow('broken');
    const waiting = pending.begin(work(1_499));
    expect(begun).toHaveLength(1_500);
    const late = expect(pending.begin(broken)).rejects.toThrow('broken');
    end(1_499);
    await waiting;
    await settled();
    await late;
    pending.begin(work(1_500)).catch(() => undefined);
    expect(begun).toHaveLength(1_501);
  });

  it('leaves at once where it is cancelled while it waits, and passes on a place that came too late', async () => {
    const { pending, begun, work, end } = filled(1_500);
    const first = pending.begin(work(1_500));
    const second = pending.begin(work(1_501));
    const third = pending.begin(work(1_502));
    third.catch(() => undefined);
    conditions.shift()?.reject(new CancelledFailure('cancelled'));
    await expect(first).rejects.toThrow('cancelled');
    // The second is given the place, and is cancelled before it begins.
    const [cancelled] = conditions.splice(0, 1);
    end(1);
    await microtasks();
    expect(cancelled?.holds()).toBe(true);
    cancelled?.reject(new CancelledFailure('cancelled'));
    await expect(second).rejects.toThrow('cancelled');
    await settled();
    expect(begun.slice(1_500)).toEqual([1_502]);
  });

  it('keeps the place of what was cancelled until another workflow task, which it asks for where something waits', async () => {
    const { pending, begun, work, cancel } = filled(1_500);
    pending.begin(work(1_500)).catch(() => undefined);
    cancel(0);
    cancel(1);
    await settled();
    pending.begin(work(1_501)).catch(() => undefined);
    await settled();
    expect(begun).toHaveLength(1_500);
    expect(tasks).toHaveLength(1);
    tasks.shift()?.();
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500, 1_501]);
    expect(tasks).toHaveLength(0);
  });

  it('asks for none where nothing waits', async () => {
    const { pending, begun, work, cancel } = filled(1_500);
    cancel(0);
    await settled();
    expect(tasks).toHaveLength(0);
    task.historyLength += 5;
    expect(pending.turn(() => false)).toBeUndefined();
    pending.begin(work(1_500)).catch(() => undefined);
    expect(begun.slice(1_500)).toEqual([1_500]);
  });

  it('keeps the place of what is cancelled in that task until one more', async () => {
    const { pending, begun, work, cancel } = filled(1_500);
    for (const name of [1_500, 1_501]) pending.begin(work(name)).catch(() => undefined);
    cancel(0);
    await settled();
    tasks.shift()?.();
    cancel(1);
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500]);
    tasks.shift()?.();
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500, 1_501]);
  });

  it('leaves places for what it waits for', async () => {
    const { pending, begun, work, end } = filled(1_000, 1_000);
    const reader = pending.begin(work(1_000), true);
    pending.begin(work(1_001)).catch(() => undefined);
    await settled();
    expect(begun.slice(1_000)).toEqual([1_001]);
    end(0);
    await settled();
    expect(begun.slice(1_000)).toEqual([1_001, 1_000]);
    end(1_000);
    expect(await reader).toBe(1_000);
  });

  it('is not limited in a history from before', () => {
    historyHas((change) => change !== 'pending-work-waits');
    const { pending, begun } = filled(1_600);
    expect(begun).toHaveLength(1_600);
    expect(pending.turn(() => false)).toBeUndefined();
  });
});

describe('an item of a loop', () => {
  it('begins at once while there is a place', () => {
    expect(filled(1_499).pending.turn(() => false)).toBeUndefined();
  });

  it('waits until there is one, one item for each', async () => {
    const { pending, begun, work, end } = filled(1_500);
    for (const name of [1_500, 1_501]) {
      const item = async () => {
        await pending.turn(() => false);
        await pending.begin(work(name));
      };
      item().catch(() => undefined);
    }
    await settled();
    end(0);
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500]);
    end(1);
    await settled();
    expect(begun.slice(1_500)).toEqual([1_500, 1_501]);
  });

  it('begins in another workflow task where its place is that of cancelled work', async () => {
    const { pending, cancel } = filled(1_500);
    let begins = false;
    const turn = pending
      .turn(() => false)
      ?.then(() => {
        begins = true;
      });
    cancel(0);
    await settled();
    expect(tasks).toHaveLength(1);
    tasks.shift()?.();
    await settled();
    expect(begins).toBe(true);
    await turn;
  });

  it('waits no longer than its loop goes on', async () => {
    const { pending } = filled(1_500);
    let stops = false;
    const turns = [pending.turn(() => stops), pending.turn(() => stops)];
    await settled();
    stops = true;
    await settled();
    await Promise.all(turns);
  });
});

describe('calls of a run', () => {
  const policy = { retry: { attempts: 1 }, timeout: { attemptMs: 60_000, totalMs: 60_000 } };
  const stage = { id: 'answer', kind: 'chat', model: 'assistant', with: {}, policy } as unknown as StagePlan;
  const call = { stage: 'answer', model: 'assistant', tenant: 'acme', with: {} } as unknown as StageCall;
  const placed = { connector: 'openai', device: 'gpu0', queue: 'pool' } as StagePlacement;
  const hostOf = () => {
    const places = { activities: new PendingWork(until), children: new PendingWork(until) };
    return new TemporalHost({ plan: { stages: [stage] } } as unknown as RunContext, {}, places);
  };

  it('wait for their places, and have what is left of the run then', async () => {
    const now = Date.now();
    const host = hostOf();
    let leftMs = 90_000;
    host.within(new Deadline(now + leftMs, leftMs, () => now + 90_000 - leftMs, new Map()));
    const all = Array.from({ length: 1_502 }, () => host.runStage(stage, { prompt: 'x' }, call, placed));
    const last = all.at(-1)?.catch((error: unknown) => error);
    await expect.poll(() => scheduled.length).toBe(1_500);
    await settled();
    expect(scheduled).toHaveLength(1_500);
    // A wait of less than a millisecond counts as none.
    await new Promise((resolve) => setTimeout(resolve, 5));
    leftMs = 20_000;
    ends[0]?.();
    await settled();
    expect(scheduled).toHaveLength(1_501);
    expect(scheduled[0]?.options.scheduleToCloseTimeout).toBe(60_000);
    expect(scheduled[1_500]?.options.scheduleToCloseTimeout).toBe(20_000);
    leftMs = 0;
    ends[1]?.();
    await settled();
    expect(scheduled).toHaveLength(1_501);
    const failure = await last;
    expect(failure).toBeInstanceOf(StageError);
    expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('leave less room in a history, the more of them are under way', async () => {
    const host = hostOf();
    task.historyLength = 47_000;
    expect(host.nearlyOver()).toBe(false);
    for (let i = 0; i < 150; i++) host.runStage(stage, { prompt: 'x' }, call, placed).catch(() => undefined);
    await expect.poll(() => scheduled.length).toBe(150);
    expect(host.nearlyOver()).toBe(true);
    for (const end of ends) end();
    await settled();
    expect(host.nearlyOver()).toBe(false);
  });
});
