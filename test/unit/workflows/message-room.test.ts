import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MessageRoom } from '../../../workflows/message-room.js';
import { mostBytesOf } from '../../../workflows/result-room.js';
import { SegmentTurns } from '../../../workflows/segment-turns.js';
import { inHistory } from '../../support/in-history.js';

/** Of which a timer ends the workflow task. */
const task = vi.hoisted(() => ({ historyLength: 3, timers: 0, ends: undefined as Promise<void> | undefined }));
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof import('@temporalio/workflow')>()),
  workflowInfo: () => task,
  sleep: async () => {
    task.timers += 1;
    task.ends ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      task.historyLength += 5;
      task.ends = undefined;
    });
    await task.ends;
  },
  condition: async (isSo: () => boolean) => {
    while (!isSo()) await new Promise<void>((resolve) => setImmediate(resolve));
  },
  CancellationScope: { nonCancellable: <T>(work: () => Promise<T>) => work() },
}));

const historyHas = inHistory();
const MB = 1_000_000;

beforeEach(() => {
  Object.assign(task, { historyLength: 3, timers: 0 });
});

/** Bytes by the workflow task in which they were sent. */
function sent() {
  const tasks = new Map<number, number>();
  return {
    tasks,
    send: (bytes: number) => void tasks.set(task.historyLength, (tasks.get(task.historyLength) ?? 0) + bytes),
    get most() {
      return Math.max(...tasks.values());
    },
  };
}

describe('commands of one workflow task', () => {
  const begin = (room: MessageRoom, { send }: ReturnType<typeof sent>, sizes: readonly number[], isChild: boolean) =>
    Promise.all(
      sizes.map(async (bytes) => {
        await (isChild ? room.takeUncounted(bytes) : room.take(bytes));
        send(bytes);
      }),
    );

  it.each([false, true])('are together no more than they have room for (of child runs: %s)', async (isChild) => {
    const all = sent();
    await begin(new MessageRoom(), all, Array(6).fill(1.2 * MB), isChild);
    expect([...all.tasks.values()]).toEqual(Array(6).fill(1.2 * MB));
    const small = sent();
    await begin(new MessageRoom(), small, Array(30).fill(0.1 * MB), isChild);
    expect(small.most).toBeLessThanOrEqual(1.5 * MB);
    expect(small.tasks.size).toBe(2);
  });

  it('may be one that is larger, alone', async () => {
    const all = sent();
    await begin(new MessageRoom(), all, [1.9 * MB, 0.1 * MB, 0.1 * MB], true);
    expect([...all.tasks.values()]).toEqual([1.9 * MB, 0.2 * MB]);
  });

  it('count whether they start a child run or not', async () => {
    const [room, all] = [new MessageRoom(), sent()];
    await Promise.all([begin(room, all, [0.9 * MB], true), begin(room, all, [0.9 * MB], false)]);
    await begin(room, all, [0.9 * MB], true);
    expect(all.most).toBe(0.9 * MB);
  });

  it('count whole, though earlier releases count inputs that are not small', async () => {
    const [room, all] = [new MessageRoom(), sent()];
    const beginAll = () =>
      Promise.all(
        Array.from({ length: 4 }, async () => {
          await room.take(0.7 * MB, 0.1 * MB);
          all.send(0.7 * MB);
        }),
      );
    await beginAll();
    expect([...all.tasks.values()]).toEqual([1.4 * MB, 1.4 * MB]);
    historyHas(false);
    task.historyLength += 5;
    await beginAll();
    expect([...all.tasks.values()].at(-1)).toBe(2.8 * MB);
  });

  it('for which there is room at once wait for nothing', () => {
    const room = new MessageRoom();
    expect([room.takeUncounted(MB), room.takeUncounted(0.5 * MB)]).toEqual([undefined, undefined]);
    expect(room.takeUncounted(1)).toBeInstanceOf(Promise);
  });

  it('are as they were in a history from before', async () => {
    historyHas(false);
    const [room, all] = [new MessageRoom(), sent()];
    await begin(room, all, Array(6).fill(1.2 * MB), true);
    expect(all.tasks.size).toBe(1);
    await begin(room, all, [1.4 * MB, 1.4 * MB, 1.4 * MB], false);
    expect([...all.tasks.values()]).toEqual([10 * MB, 1.4 * MB]);
  });
});

const never = () => false;
const soon = () => new Promise<void>((resolve) => setImmediate(resolve));
const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0);

describe('results of local activities', () => {
  /** As lanes of an `each` that begin one local activity after the other. @param sizeOf of a result, in bytes, by what it may be */
  async function lanes(count: number, each: number, sizeOf: (mostBytes: number) => number) {
    const [turns, all] = [new SegmentTurns(), sent()];
    const allowed: number[] = [];
    const lane = async () => {
      for (let i = 0; i < each; i++) {
        const work = async (mostBytes: number) => {
          allowed.push(mostBytes);
          await soon();
          const value = 'x'.repeat(sizeOf(mostBytes) - 2);
          all.send(value.length + 2);
          return value;
        };
        await turns.take(work, never);
      }
    };
    await Promise.all(Array.from({ length: count }, lane));
    return { all, allowed };
  }

  it('may be so large that those of all that run at once are no more than there is room for', () => {
    expect([1, 2, 4, 12, 64, 65].map((many) => mostBytesOf(many))).toEqual([
      200_000, 80_000, 40_000, 13_333, 13_000, 2_000,
    ]);
    const all = Array.from({ length: 256 }, (_, i) => mostBytesOf(i + 1));
    expect(sum(all.slice(0, 64))).toBeLessThan(1.25 * MB);
    expect(sum(all)).toBeLessThan(1.6 * MB);
  });

  it('come at once where they fit, and what follows them waits for nothing', async () => {
    // An embedding or a page of text in each of 64 lanes.
    const { all, allowed } = await lanes(64, 1, () => 12_000);
    expect(Math.min(...allowed)).toBeGreaterThanOrEqual(12_000);
    expect([all.tasks.size, task.timers]).toEqual([1, 0]);
  });

  it('come at once beside one that runs for long', async () => {
    const [turns, room] = [new SegmentTurns(), new MessageRoom()];
    let end: () => void = () => undefined;
    const ended = new Promise<string>((resolve) => {
      end = () => resolve('done');
    });
    const long = turns.take(() => ended, never);
    const words = async (mostBytes: number) => 'x'.repeat(Math.min(mostBytes, 60_000));
    expect(await turns.take(words, never)).toHaveLength(60_000);
    expect(room.takeUncounted(1_000)).toBeUndefined();
    expect(task.timers).toBe(0);
    end();
    expect(await long).toBe('done');
  });

  it('are no more than a message however many follow each other, each as large as it may be', async () => {
    for (const [count, each] of [
      [256, 3],
      [64, 6],
      [3, 40],
    ] as const) {
      const { all } = await lanes(count, each, (mostBytes) => mostBytes);
      expect(all.most, `${count} lanes`).toBeLessThan(2.05 * MB);
    }
    // Those that have come and wait for their turn leave no room to others.
    const { all } = await lanes(64, 5, (mostBytes) => Math.min(mostBytes, 12_000));
    expect(sum([...all.tasks.values()])).toBe(64 * 5 * 12_000);
    expect(all.most).toBeLessThan(1.3 * MB);
  });

  it('are no more than a message however many small ones follow each other, but for histories from before', async () => {
    const { all } = await lanes(10, 100, () => 3_900);
    expect(sum([...all.tasks.values()])).toBe(1_000 * 3_900);
    expect(all.most).toBeLessThan(0.5 * MB);
    historyHas(false);
    expect((await lanes(10, 100, () => 3_900)).all.tasks.size).toBe(1);
  });

  it('that are small in any case take no room from others', async () => {
    const turns = new SegmentTurns();
    const small = Array.from({ length: 10 }, () => turns.take(soon, never, { isSmall: true }));
    expect(await turns.take(async (mostBytes) => mostBytes, never)).toBe(mostBytesOf(1));
    await Promise.all(small);
  });
});
