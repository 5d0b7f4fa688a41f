import type { ActivitySlotInfo, CustomSlotSupplier } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { ActivitySlots } from '../../../../workers/activity-slots.js';
import { ResultPace } from '../../../../workers/hosts/result-pace.js';

const MB = 1_000_000;
/** Time of a workflow task, in milliseconds. */
const taskMs = 80;
/** No result returned before is forgotten during a test. */
const hour = { taskMs: 3_600_000 };

/** Time until results of one run that end at once are all returned, in times of a workflow task. */
async function tasksFor(sizes: readonly number[]): Promise<number> {
  const pace = new ResultPace({ answerMs: 0 });
  const begun = performance.now();
  await Promise.all(sizes.map((bytes) => pace.turn('run', bytes, { taskMs })));
  return (performance.now() - begun) / taskMs;
}

describe('results of local activities that end at once', () => {
  it('are returned at once where they are no more than a message may have', async () => {
    const pace = new ResultPace();
    const waiting = Promise.all(Array.from({ length: 64 }, () => pace.turn('run', 30_000, hour)));
    await expect(waiting).resolves.toHaveLength(64);
  });

  it('are spread over workflow tasks where they are more, and one that is larger comes alone', async () => {
    expect(await tasksFor(Array(4).fill(1.4 * MB))).toBeGreaterThanOrEqual(3);
    expect(await tasksFor(Array(64).fill(60_000))).toBeGreaterThanOrEqual(1);
    expect(await tasksFor(Array(1_000).fill(3_900))).toBeGreaterThanOrEqual(1);
    expect(await tasksFor([2.1 * MB, 2.1 * MB])).toBeGreaterThanOrEqual(1);
  });

  it('are in the next message where they end before Temporal has answered the last one', async () => {
    const pace = new ResultPace();
    await pace.turn('run', 1.5 * MB, { taskMs: 1 });
    const begun = performance.now();
    await pace.turn('run', 1.5 * MB, { taskMs: 1 });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(990);
  });

  it('wait for none of another run, and small ones for no large one that waits', async () => {
    const pace = new ResultPace();
    await pace.turn('one', 1.5 * MB, hour);
    const end = new AbortController();
    const waiting = pace.turn('one', 1.5 * MB, { ...hour, signal: end.signal });
    await pace.turn('one', 1_000, hour);
    await pace.turn('another', 1.5 * MB, hour);
    end.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await pace.turn('one', 400_000, hour);
  });

  it('are large ones in turn, also where a later one would fit', async () => {
    const pace = new ResultPace({ answerMs: 0 });
    const returned: string[] = [];
    const turn = (name: string, bytes: number) => pace.turn('run', bytes, { taskMs }).then(() => returned.push(name));
    await Promise.all([turn('first', 1.4 * MB), turn('second', 1.4 * MB), turn('third', 0.1 * MB)]);
    expect(returned).toEqual(['first', 'second', 'third']);
  });
});

describe('a result that is not to be returned any more', () => {
  it('waits for none before it', async () => {
    const pace = new ResultPace();
    await pace.turn('run', 1.5 * MB, hour);
    const [first, end] = [new AbortController(), new AbortController()];
    const before = pace.turn('run', 1.5 * MB, { ...hour, signal: first.signal });
    const waiting = pace.turn('run', 1.5 * MB, { ...hour, signal: end.signal });
    end.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
    first.abort(new Error('also'));
    await expect(before).rejects.toThrow('also');
  });

  it('takes no room from others', async () => {
    const pace = new ResultPace();
    await expect(pace.turn('run', 1.5 * MB, { ...hour, signal: AbortSignal.abort() })).rejects.toThrow();
    await pace.turn('run', 1.5 * MB, hour);
  });
});

describe('the slot of a result that waits', () => {
  type Supplier = CustomSlotSupplier<ActivitySlotInfo>;
  const context = {} as Parameters<Supplier['reserveSlot']>[0];
  const task = { slotInfo: {} } as Parameters<Supplier['markSlotUsed']>[0];

  it('is free for other activities until the result is returned or given up', async () => {
    const slots = new ActivitySlots(1);
    const supplier = slots.supplier();
    const begins = () => {
      if (supplier.tryReserveSlot(context) === null) return false;
      supplier.markSlotUsed(task);
      return true;
    };
    const pace = new ResultPace({ slots });
    await pace.turn('run', 1.5 * MB, hour);
    expect(begins()).toBe(true);
    const end = new AbortController();
    const waiting = pace.turn('run', 1.5 * MB, { ...hour, tenant: 'one', signal: end.signal });
    expect(begins(), 'beside the result').toBe(true);
    expect(begins(), 'beside another activity').toBe(false);
    end.abort();
    await expect(waiting).rejects.toThrow();
    supplier.releaseSlot(task);
    expect(begins(), 'while the other one runs').toBe(false);
    supplier.releaseSlot(task);
    expect(begins()).toBe(true);
  });

  it('is kept where too many of its tenant have given up theirs', async () => {
    const tookBack: string[] = [];
    const slots = {
      leave: (tenant: string) => tenant !== 'greedy',
      takeBack: (tenant: string) => void tookBack.push(tenant),
    };
    const pace = new ResultPace({ slots });
    await pace.turn('run', 1.5 * MB, hour);
    const end = new AbortController();
    const waiting = pace.turn('run', 1.5 * MB, { ...hour, tenant: 'greedy', signal: end.signal });
    end.abort();
    await expect(waiting).rejects.toThrow();
    expect(tookBack).toEqual([]);
  });
});
