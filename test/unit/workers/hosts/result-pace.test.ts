import { describe, expect, it } from 'vitest';
import { ResultPace } from '../../../../workers/hosts/result-pace.js';

const MB = 1_000_000;
/** Time of a workflow task, in milliseconds. */
const taskMs = 80;

/** Time until results of one run that end at once are all returned, in times of a workflow task. */
async function tasksFor(sizes: readonly number[]): Promise<number> {
  const pace = new ResultPace();
  const begun = performance.now();
  await Promise.all(sizes.map((bytes) => pace.turn('run', bytes, { taskMs })));
  return (performance.now() - begun) / taskMs;
}

describe('results of local activities that end at once', () => {
  it('are returned at once where they are no more than a message may have', async () => {
    const pace = new ResultPace();
    const waiting = Promise.all(Array.from({ length: 64 }, () => pace.turn('run', 30_000, { taskMs: 3_600_000 })));
    await expect(waiting).resolves.toHaveLength(64);
  });

  it('are spread over workflow tasks where they are more, and one that is larger comes alone', async () => {
    expect(await tasksFor(Array(4).fill(1.4 * MB))).toBeGreaterThanOrEqual(3);
    expect(await tasksFor(Array(64).fill(60_000))).toBeGreaterThanOrEqual(1);
    expect(await tasksFor(Array(1_000).fill(3_900))).toBeGreaterThanOrEqual(1);
    expect(await tasksFor([2.1 * MB, 2.1 * MB])).toBeGreaterThanOrEqual(1);
  });

  it('wait for none of another run, and small ones for no large one that waits', async () => {
    const pace = new ResultPace();
    const hour = { taskMs: 3_600_000 };
    await pace.turn('one', 1.5 * MB, hour);
    const end = new AbortController();
    const waiting = pace.turn('one', 1.5 * MB, { ...hour, signal: end.signal });
    await pace.turn('one', 1_000, hour);
    await pace.turn('another', 1.5 * MB, hour);
    end.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await pace.turn('one', 400_000, hour);
  });
});
