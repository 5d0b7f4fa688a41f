import { describe, expect, it } from 'vitest';
import { leastLate, leastSpeed } from '../../../placement/planner/late-jobs.js';
import { drawOf } from '../../../placement/simulator/index.js';

/** The least number of late jobs by trying every set of jobs in time, in order. */
function enumerated(releaseMs: Float64Array, allowedMs: number, work: Float64Array, speed: number): number {
  const count = releaseMs.length;
  let best = count;
  for (let set = 0; set < 2 ** count; set += 1) {
    let end = 0;
    let late = 0;
    let fits = true;
    for (let j = 0; j < count && fits; j += 1) {
      if (((set >> j) & 1) === 0) late += 1;
      else {
        end = Math.max(end, releaseMs[j] ?? 0) + (work[j] ?? 0) / speed;
        fits = end <= (releaseMs[j] ?? 0) + allowedMs + 1e-9;
      }
    }
    if (fits) best = Math.min(best, late);
  }
  return best;
}

describe('the least number of late jobs', () => {
  it('is that of the best of all subsets, on 400 random instances', () => {
    for (let seed = 1; seed <= 400; seed += 1) {
      const draw = (i: number, purpose: number) => drawOf(seed, i, purpose);
      const count = 9;
      const releaseMs = Float64Array.from({ length: count }, (_, i) => Math.round(20 * draw(i, 1))).sort();
      const work = Float64Array.from({ length: count }, (_, i) => 1 + Math.round(9 * draw(i, 2) ** 2));
      const allowedMs = 3 + Math.round(12 * draw(0, 3));
      const speed = 0.5 + draw(0, 4);
      const expected = enumerated(releaseMs, allowedMs, work, speed);
      expect(leastLate({ releaseMs, allowedMs, work }, speed, count), `seed ${seed}`).toBe(expected);
      const least = leastSpeed({ releaseMs, allowedMs, work }, 2, 1);
      expect(enumerated(releaseMs, allowedMs, work, least * (1 - 1e-6)), `seed ${seed}`).toBeGreaterThan(2);
      expect(enumerated(releaseMs, allowedMs, work, least * 1.006)).toBeLessThanOrEqual(2);
    }
  });
});
