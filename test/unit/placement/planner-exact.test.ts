import { describe, expect, it } from 'vitest';
import { enumeratedOptimum } from '../../../bench/planner/enumerate.js';
import { smallInstance } from '../../../bench/planner/instances.js';
import { Judge, LowerBound, searchCheapest } from '../../../placement/planner/index.js';

/** Counts calls, so that the planner's limit does not depend on how busy the machine is. */
const untimed = { timeLimitMs: 1, clock: () => 0 };

describe('the planner against enumeration', () => {
  it('finds the placement of a load that only just fits, which no draft and no local search finds', () => {
    for (const [seed, optimum] of [
      [202, 2.9],
      [247, 3.55],
    ] as const)
      expect(searchCheapest(smallInstance(seed), untimed)?.value, `seed ${seed}`).toBeCloseTo(optimum, 9);
  });

  it('finds the optimum of 25 random instances, and no bound is above it', { timeout: 120_000 }, () => {
    let compared = 0;
    for (let seed = 1; compared < 25; seed += 1) {
      const problem = smallInstance(seed);
      // The largest are left to the bench.
      if (problem.pools.length > 3 || problem.devices.length > 5) continue;
      const optimum = enumeratedOptimum(problem, new Judge(problem));
      const found = searchCheapest(problem, untimed);
      expect(found?.value ?? Number.POSITIVE_INFINITY, `seed ${seed}`).toBeCloseTo(optimum, 9);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      expect(lower.value, `seed ${seed}`).toBeLessThanOrEqual(optimum + 1e-9);
      if (found) {
        expect(found.bound, `seed ${seed}`).toBeLessThanOrEqual(optimum + 1e-9);
        expect(new Judge(problem).holds(found.candidate), `seed ${seed}`).toBe(true);
      }
      compared += 1;
    }
  });
});
