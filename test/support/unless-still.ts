import { TRIES } from '../../activities/connectors/contract/expect.js';

/** Who stands still for longer looks dead to others: the leases of fast hosts run out within three seconds. */
const STILL_MS = 1_000;
const LOOK_MS = 50;

/**
 * A test of what this process does within seconds, tried again where it failed and this process stood still meanwhile:
 * others then took its place, which is right. Where it did not stand still, the first failure is the test's.
 */
export async function unlessStill(test: () => Promise<void>): Promise<void> {
  for (let left = TRIES - 1; ; left -= 1) {
    let last = performance.now();
    let longest = 0;
    const look = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    const looking = setInterval(look, LOOK_MS);
    try {
      return await test();
    } catch (error) {
      look();
      if (left === 0 || longest < STILL_MS) throw error;
    } finally {
      clearInterval(looking);
    }
  }
}
