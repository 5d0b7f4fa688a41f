import { ROUNDING } from './density.js';

/** Runs that one machine serves in blocks: those of a block arrive one after the other and share a setup. */
export interface Blocks {
  /** Arrivals, in order. */
  readonly releaseMs: Float64Array;
  /** From a run's arrival to its deadline. */
  readonly allowedMs: number;
  /** No run ends sooner after its arrival. */
  readonly leastMs: number;
  /** Work of a block, and of each of its runs; it takes work / speed. */
  readonly setup: number;
  readonly each: number;
}

/** Numbers of late runs that are told apart, from the least one of the runs so far. */
const LEVELS = 8;

/**
 * A number of late runs that no schedule of a chain of stages is below, on devices that spend at most `speed` of priced time in
 * each millisecond; counted up to `most` + 1.
 *
 * **Claim.** Each run calls each stage k of the chain once, a batch of b runs of stage k takes at least p_k(b) of priced time,
 * which rises with b, and p_k(b) >= s_k + e_k·b for all b that are possible. No run ends within T of its arrival, whatever its batches. With
 * S = sum(s_k) and E = sum(e_k): if a placement has the runs I in time, then one machine of that speed can serve them with
 * preemption as follows. I falls into blocks of consecutive arrivals. A block of the runs f to n has work S between the arrival of n and
 * the deadline of f, which is no sooner than T after that arrival; each run of it has work E between its own arrival and deadline.
 *
 * **Proof.** Call the batches of the placement that have a run of I its batches. Let Z_k(i) be the one of stage k that ends first
 * of those that begin when i could be there after Z_(k-1)(i), or after its arrival for k = 1: i might ride in it. It ends no later than
 * i's own batch, by induction; so Z_K(i), of the last stage K, ends at e(i), in time for i and no sooner than T after its arrival. A later
 * arrival has the same batches or later ones. The last block ends with the last run n of I, and has all i whose deadline is not before e(n); the next one ends
 * with the last run n' before them, and so on. So Z_k(n), for all k, run between the arrival of n and the deadline
 * of f: they have S. Those of two blocks differ: if Z_k(n) = Z_k(n') for some k, then e(n) = e(n'), and n' is in the block of n.
 * E is charged to i's own batches, within its own time. A batch of b runs is charged s_k once at most, for a block, and e_k for each of its runs:
 * together no more than it takes.
 *
 * **Algorithm.** On one machine, preemption in order of deadlines is optimal: a block's setup goes before the work of all its
 * runs but the first. Over the arrivals, for each number of late ones so far, the earliest end of all work, by the
 * beginning of the last block (dynamic programming; batching with a setup is that of C. Potts and M. Kovalyov: Scheduling with batching, a review.
 * European Journal of Operational Research 120, 2000). A late run within a block takes its work from the end at the most, and after
 * so many late runs more than the fewest the machine counts as free: both only lower the result.
 */
export function leastLateInBlocks(
  { releaseMs, allowedMs, leastMs, setup, each }: Blocks,
  speed: number,
  most: number,
): number {
  const count = releaseMs.length;
  const setupMs = setup / speed;
  const eachMs = each / speed;
  // By runs so far and level: when all work of those in time has ended at the earliest. A level is a number of late runs above `fewest`.
  const ends = new Float64Array((count + 1) * LEVELS).fill(Number.NEGATIVE_INFINITY);
  const fewest = new Int32Array(count + 1);
  const next = new Float64Array(LEVELS);
  for (let n = 0; n < count; n += 1) {
    const last = releaseMs[n] as number;
    const due = last + allowedMs + ROUNDING;
    const now = fewest[n] as number;
    // The last run is late.
    next[0] = Number.POSITIVE_INFINITY;
    for (let j = 1; j < LEVELS; j += 1) next[j] = ends[n * LEVELS + j - 1] as number;
    // When the runs of the block have had their own work at the earliest.
    let worked = Number.NEGATIVE_INFINITY;
    for (let f = n; f >= 0; f -= 1) {
      const first = releaseMs[f] as number;
      const firstDue = first + allowedMs + ROUNDING;
      if (last + leastMs > firstDue) break;
      const size = n - f + 1;
      worked = Math.max(worked, first + size * eachMs);
      for (let j = 0; j < LEVELS; j += 1) {
        const free = ends[f * LEVELS + j] as number;
        if (Math.max(last, Math.max(free, first) + eachMs) + setupMs > firstDue) continue;
        let end = Math.max(free + size * eachMs, worked) + setupMs;
        let level = (fewest[f] as number) + j - now;
        for (let late = 0; late <= Math.max(0, size - 2) && level < LEVELS; late += 1) {
          if (level >= 0 && end <= due && end < (next[level] as number)) next[level] = end;
          const less = Math.max(end - eachMs, last + setupMs);
          if (less >= end) break;
          end = less;
          level += 1;
        }
      }
    }
    // The others can do as before, so that at most one more is late.
    const skipped = next[0] === Number.POSITIVE_INFINITY ? 1 : 0;
    fewest[n + 1] = now + skipped;
    if (now + skipped > most) return most + 1;
    let earliest = Number.POSITIVE_INFINITY;
    for (let j = 0; j < LEVELS - 1; j += 1) {
      earliest = Math.min(earliest, next[j + skipped] as number);
      ends[(n + 1) * LEVELS + j] = earliest;
    }
  }
  return fewest[count] as number;
}
