import { describe, expect, it } from 'vitest';
import { leastLate, leastLateOn, leastSpeed } from '../../../placement/planner/late-jobs.js';
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
      const least = leastSpeed((at) => leastLate({ releaseMs, allowedMs, work }, at, 2) <= 2, 1);
      expect(enumerated(releaseMs, allowedMs, work, least * (1 - 1e-6)), `seed ${seed}`).toBeGreaterThan(2);
      expect(enumerated(releaseMs, allowedMs, work, least * 1.006)).toBeLessThanOrEqual(2);
    }
  });
});

/** Every order of these. */
function* orders(of: readonly number[]): Generator<readonly number[]> {
  if (of.length === 0) yield [];
  for (const first of of) for (const rest of orders(of.filter((each) => each !== first))) yield [first, ...rest];
}

describe('the least number of late jobs of equal length on machines', () => {
  it('is that of the best of all orders, on 150 random instances', () => {
    for (let seed = 1; seed <= 150; seed += 1) {
      const draw = (i: number, purpose: number) => drawOf(seed, i, purpose);
      const releaseMs = Float64Array.from({ length: 6 }, (_, i) => Math.round(12 * draw(i, 1))).sort();
      const machines = 1 + Math.floor(3 * draw(0, 2));
      const lengthMs = 1 + Math.round(6 * draw(0, 3));
      const allowedMs = lengthMs + Math.round(8 * draw(0, 4) - 1);
      let expected = releaseMs.length;
      for (const order of orders([...releaseMs.keys()])) {
        // A job that would be late is left out: the orders of fewer jobs are among these.
        const free = new Array<number>(machines).fill(0);
        let late = 0;
        for (const job of order) {
          const at = free.indexOf(Math.min(...free));
          const end = Math.max(free[at] ?? 0, releaseMs[job] ?? 0) + lengthMs;
          if (end > (releaseMs[job] ?? 0) + allowedMs + 1e-9) late += 1;
          else free[at] = end;
        }
        expected = Math.min(expected, late);
      }
      expect(leastLateOn(machines, { releaseMs, allowedMs, lengthMs }, 99), `seed ${seed}`).toBe(expected);
    }
  });
});
