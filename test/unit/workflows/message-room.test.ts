import { beforeEach, describe, expect, it } from 'vitest';
import { MessageRoom } from '../../../workflows/message-room.js';
import { inHistory } from '../../support/in-history.js';

const task = { historyLength: 3 };
let ends: Promise<void> | undefined;
/** A timer ends the workflow task. */
async function startTimer(): Promise<void> {
  ends ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    task.historyLength += 5;
    ends = undefined;
  });
  await ends;
}
const historyHas = inHistory({ info: task, nextSeqs: { timer: 1 }, interceptors: { outbound: [{ startTimer }] } });
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
