import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MessageRoom } from '../../../workflows/message-room.js';
import { ResultRoom } from '../../../workflows/result-room.js';
import { SegmentTurns } from '../../../workflows/segment-turns.js';
import { inHistory } from '../../support/in-history.js';

/** Of which a timer ends the workflow task. */
const task = vi.hoisted(() => ({ historyLength: 3 }));
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof import('@temporalio/workflow')>()),
  workflowInfo: () => task,
  sleep: async () => {
    await new Promise<void>((resolve) => setImmediate(resolve));
    task.historyLength += 5;
  },
  condition: async (isSo: () => boolean) => {
    while (!isSo()) await new Promise<void>((resolve) => setImmediate(resolve));
  },
  CancellationScope: { nonCancellable: <T>(work: () => Promise<T>) => work() },
}));

const historyHas = inHistory();
const MB = 1_000_000;

beforeEach(() => {
  task.historyLength = 3;
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

describe('results of local activities', () => {
  it('have no more room together than there is, however many run at once', () => {
    const room = new ResultRoom();
    const places = Array.from({ length: 300 }, () => room.begin());
    const [first, second] = places;
    expect([first?.bytes, second?.bytes]).toEqual([300_000, 37_500]);
    const large = places.map(({ bytes }) => bytes).filter((bytes) => bytes > 4_000);
    expect(large.length).toBeGreaterThan(15);
    expect(large.reduce((sum, bytes) => sum + bytes)).toBeLessThanOrEqual(600_000);
    expect(Math.min(...places.map(({ bytes }) => bytes))).toBe(4_000);
  });

  it('take what they are, until the next workflow task', () => {
    const room = new ResultRoom();
    const place = room.begin();
    place.end(1_000);
    expect(room.begin().bytes).toBe(300_000);
    const other = new ResultRoom();
    other.begin().end(200_000);
    const open = other.begin();
    expect(open.bytes).toBe(200_000);
    task.historyLength += 4;
    // The one that runs may still end in this one.
    expect(other.begin().bytes).toBe(50_000);
    open.end(0);
    expect(other.begin().bytes).toBe(Math.floor((600_000 - 50_000) / 8));
  });

  type Result = { readonly large: true } | { readonly value: string };

  /** As segments whose results have this size: where there is no room they say so, and are asked again. */
  async function segments(sizes: readonly number[]) {
    const [turns, all, never] = [new SegmentTurns(new MessageRoom()), sent(), () => false];
    const asked: string[] = [];
    const results = await Promise.all(
      sizes.map(async (size, i) => {
        const value = 'x'.repeat(size);
        const work = async (mostBytes = Number.POSITIVE_INFINITY): Promise<Result> => {
          asked.push(`${i}`);
          await new Promise<void>((resolve) => setImmediate(resolve));
          const result: Result = size > mostBytes ? { large: true } : { value };
          all.send(JSON.stringify(result).length);
          return result;
        };
        const given = await turns.take(undefined, work, never);
        return 'large' in given ? await turns.alone(undefined, () => work(), never) : given;
      }),
    );
    expect(results.map((result) => ('value' in result ? result.value.length : -1))).toEqual(sizes);
    return { asked, most: all.most };
  }

  it('come one at a time where they are large, and each once more at most', async () => {
    const { asked, most } = await segments(Array(6).fill(1.4 * MB));
    expect(asked).toHaveLength(12);
    expect(most).toBeLessThan(1.5 * MB);
  });

  it('come at once where there is room, and with a large one between them', async () => {
    const few = await segments([200_000, 30_000, 1_000]);
    expect(few.asked).toHaveLength(3);
    const mixed = await segments([250_000, 1.4 * MB, 30_000, 1.4 * MB]);
    expect(mixed.asked).toHaveLength(6);
    expect(mixed.most).toBeLessThan(2.1 * MB);
  });

  it('are no more than a message however many small ones follow each other', async () => {
    const [turns, all] = [new SegmentTurns(new MessageRoom()), sent()];
    const lane = async () => {
      for (let i = 0; i < 100; i++) {
        const work = async () => {
          all.send(3_900);
          return 'x'.repeat(3_898);
        };
        await turns.take(undefined, work, () => false);
      }
    };
    await Promise.all(Array.from({ length: 10 }, lane));
    expect([...all.tasks.values()].reduce((sum, bytes) => sum + bytes)).toBe(1_000 * 3_900);
    expect(all.most).toBeLessThan(0.7 * MB);
    historyHas(false);
    all.tasks.clear();
    await Promise.all(Array.from({ length: 10 }, lane));
    expect(all.tasks.size).toBe(1);
  });

  it('that come alone leave no room for large commands, nor for further results', async () => {
    const room = new MessageRoom();
    const turns = new SegmentTurns(room);
    const never = () => false;
    const commands: number[] = [];
    let given = 0;
    const work = async () => {
      given = task.historyLength;
      void room.take(0.1 * MB).then(() => commands.push(task.historyLength));
      await new Promise<void>((resolve) => setImmediate(resolve));
      return 'x'.repeat(1.4 * MB);
    };
    await turns.alone(undefined, work, never);
    const next = await turns.take(undefined, async () => task.historyLength, never);
    expect(next).toBeGreaterThan(given);
    expect(commands[0]).toBeGreaterThan(given);
  });
});
