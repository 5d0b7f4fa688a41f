import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { callOf, ended, recording } from './recording.js';

const LARGE = { text: 'x'.repeat(20_000) };
/** As in `limited-writes.ts`. */
const [LONGEST_WRITE_MS, MOST_ABANDONED] = [5_000, 16];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Records over an artifact store that hangs until `answer`. */
function hanging() {
  const all = recording();
  const pending: (() => void)[] = [];
  let begun = 0;
  all.store.write = () => {
    begun += 1;
    return new Promise<void>((resolve) => pending.push(resolve));
  };
  return {
    ...all,
    begun: () => begun,
    keep: (stage: string) => all.records.keep(ended('run', callOf({ stage }), { n: 1 }, LARGE)),
    /** Ends so many of the writes. */
    async answer(count: number) {
      for (const resolve of pending.splice(0, count)) resolve();
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

/** Keeps so many outcomes, each of which takes too long. */
async function abandon({ keep }: ReturnType<typeof hanging>, count: number): Promise<void> {
  const kept = Array.from({ length: count }, (_, i) => keep(`late-${i}`));
  await vi.advanceTimersByTimeAsync(LONGEST_WRITE_MS);
  await Promise.all(kept);
}

it('while sixteen values wait for an artifact store that hangs, a further one is a gap at once', async () => {
  const world = hanging();
  await abandon(world, MOST_ABANDONED);
  expect([world.begun(), world.gaps.length]).toEqual([MOST_ABANDONED, MOST_ABANDONED]);
  // No time passes.
  for (let i = 0; i < 100; i += 1) await world.keep(`more-${i}`);
  expect([world.begun(), world.gaps.length]).toEqual([MOST_ABANDONED, MOST_ABANDONED + 100]);
  expect(world.gaps.at(-1)).toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

it('as soon as one of them has ended, the store is tried again, and when it answers values are recorded', async () => {
  const world = hanging();
  await abandon(world, MOST_ABANDONED);
  await world.answer(1);
  await abandon(world, 1);
  expect(world.begun()).toBe(MOST_ABANDONED + 1);
  await world.keep('more');
  expect(world.begun()).toBe(MOST_ABANDONED + 1);
  await world.answer(MOST_ABANDONED);
  world.store.write = () => undefined;
  const gaps = world.gaps.length;
  for (let i = 0; i < 2 * MOST_ABANDONED; i += 1) await world.keep(`done-${i}`);
  expect(world.gaps).toHaveLength(gaps);
});

it('a write that fails in time is not counted', async () => {
  const world = hanging();
  world.store.write = () => {
    throw new Error('away');
  };
  for (let i = 0; i < 2 * MOST_ABANDONED; i += 1) await world.keep(`failed-${i}`);
  expect(world.gaps.at(-1)).toMatchObject({ message: 'away' });
});
