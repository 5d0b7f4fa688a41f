import { beforeEach, describe, expect, it } from 'vitest';
import type { AttemptOutcome } from '../../../../pipelines/run/index.js';
import { PendingWork } from '../../../../workflows/pending-work.js';
import { MOST_TOLD_BYTES, MOST_WAIT_ATTEMPTS } from '../../../../workflows/webhooks/schedule.js';
import { WaitAttempts } from '../../../../workflows/webhooks/wait-attempts.js';
import { inHistory } from '../../../support/in-history.js';

const task = { historyLength: 3 };
const outbound = {
  /** A timer ends the workflow task. */
  async startTimer() {
    await new Promise<void>((resolve) => setImmediate(resolve));
    task.historyLength += 5;
  },
};
const historyHas = inHistory({ info: task, nextSeqs: { timer: 1 }, interceptors: { outbound: [outbound] } });

/** As Temporal's `condition`: looked at after something has happened. */
const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};
const DELIVERED: AttemptOutcome = { outcome: 'delivered', status: 204 };

/** Attempts that end when the test says so, with the workflow task in which each has begun. */
function made() {
  const attempts = new WaitAttempts(new PendingWork(until));
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const attempt = () => {
    begun.push(task.historyLength);
    return new Promise<AttemptOutcome>((resolve) => void ends.push(() => resolve(DELIVERED)));
  };
  const make = (count: number, isOver = (): boolean => attempts.usedUp) =>
    Array.from({ length: count }, () => attempts.make(attempt, isOver));
  return { attempts, begun, ends, make };
}

/** Ends what is under way until all have ended. */
async function drained(all: readonly Promise<AttemptOutcome>[], ends: (() => void)[]) {
  let over = false as boolean;
  const outcomes = Promise.all(all).finally(() => {
    over = true;
  });
  while (!over) {
    for (const end of ends.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await outcomes;
}

beforeEach(() => {
  task.historyLength = 3;
});

describe('attempts of the waits of a run', () => {
  it('begin at once while Temporal takes them', async () => {
    const { begun, ends, make } = made();
    const all = make(200);
    expect(begun).toHaveLength(200);
    expect(await drained(all, ends)).toEqual(Array(200).fill(DELIVERED));
  });

  it('fit into the messages of their workflow tasks, and are no more at once than Temporal takes', async () => {
    const { begun, ends, make } = made();
    const all = make(2_000);
    await expect.poll(() => begun.length).toBe(1_500);
    const tasks = new Map<number, number>();
    for (const at of begun) tasks.set(at, (tasks.get(at) ?? 0) + MOST_TOLD_BYTES);
    expect(Math.max(...tasks.values())).toBeLessThan(1_500_000);
    for (const end of ends.splice(0, 300)) end();
    await expect.poll(() => begun.length).toBe(1_800);
    await drained(all, ends);
    expect(begun).toHaveLength(2_000);
  });

  it('are made until they are used up, and none is lost that has waited', async () => {
    const { attempts, begun, ends, make } = made();
    const ended = await drained(make(MOST_WAIT_ATTEMPTS + 500), ends);
    expect(attempts.usedUp).toBe(true);
    expect(begun).toHaveLength(MOST_WAIT_ATTEMPTS);
    expect(ended.filter(({ outcome }) => outcome === 'busy')).toHaveLength(500);
  });

  it('are not made when their wait is over by then', async () => {
    const { begun, ends, make } = made();
    let over = false;
    const all = make(1_600, () => over);
    await expect.poll(() => begun.length).toBe(1_500);
    over = true;
    const ended = await drained(all, ends);
    expect(ended.filter(({ outcome }) => outcome === 'busy')).toHaveLength(100);
    expect(begun).toHaveLength(1_500);
  });

  it('are all made at once in a history from before', async () => {
    historyHas(false);
    const { begun, ends, make } = made();
    const all = make(2_000);
    expect(begun).toHaveLength(2_000);
    await drained(all, ends);
  });
});
