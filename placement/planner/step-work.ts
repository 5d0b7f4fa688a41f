import { bendsOf, type StepTimes, stepAt } from '../simulator/index.js';

/** What the sequences of a pool need in all. */
export interface Generated {
  /** Steps of all sequences, and the sum over these of the tokens that each has in the cache. */
  readonly steps: number;
  readonly cached: number;
  /** Most tokens that one of them has in the cache. */
  readonly longest: number;
}

/**
 * The least time of LLM servers' devices for all steps of some sequences, in milliseconds; of steps in a millisecond, how many replicas they keep busy. The
 * prompts come on top.
 *
 * **Claim.** Let at most `most` sequences run at once on a replica, and at most `tokens` be in its cache. However the sequences are divided among
 * replicas and ordered, all their steps together take at least the result.
 *
 * **Proof.** A step of n sequences that have c tokens each on average takes s(n, c); let each of them bear s(n, c) / n. Then n <= most, and as n·c
 * tokens are in the cache at once and none has more than `longest`, c <= min(longest, tokens / n). Weighted by the sequences in it, the steps have the
 * average context `cached` / `steps`, since each sequence has its own tokens in the cache in each of its steps. So what a sequence bears of a step is on
 * average a mixture of values s(n, c) / n whose contexts average to that one, and no such mixture is below the lower convex hull of all these
 * values there. For each n they are linear in c between the `bendsOf` the step times, so that the hull is that of their values at these and at the
 * greatest c.
 *
 * To divide the cache by the average context instead, and to round down to a whole number of sequences, would be more than the least: a replica has
 * one sequence more while its sequences are short. So would the sum over stages of what each would need alone: their sequences share steps.
 */
export function leastStepsMs(table: StepTimes, most: number, tokens: number, generated: Generated): number {
  const { steps, cached, longest } = generated;
  if (!(steps > 0)) return 0;
  const points: Point[] = [];
  for (let n = 1; n <= Math.min(most, table.most); n += 1) {
    const end = Math.min(longest, tokens / n);
    for (const at of [...bendsOf(table, n).filter((bend) => bend < end), end])
      points.push({ at, ms: stepAt(table, n, at) / n });
  }
  return steps * hullAt(points, cached / steps);
}

interface Point {
  readonly at: number;
  readonly ms: number;
}

/** The lower convex hull of points, at a place between the first and the last; beyond, the nearest of these. */
function hullAt(points: Point[], at: number): number {
  const hull: Point[] = [];
  for (const next of points.sort((a, b) => a.at - b.at || a.ms - b.ms)) {
    if (hull.at(-1)?.at === next.at) continue;
    while (hull.length > 1 && !isBelow(hull.at(-1) as Point, hull.at(-2) as Point, next)) hull.pop();
    hull.push(next);
  }
  const right = hull.find((point) => point.at >= at);
  const left = hull.findLast((point) => point.at <= at);
  if (left === undefined || right === undefined || left === right) return (left ?? right)?.ms ?? 0;
  return left.ms + ((at - left.at) / (right.at - left.at)) * (right.ms - left.ms);
}

/** Whether a point is below the line through two others, one on each side of it. */
const isBelow = ({ at, ms }: Point, left: Point, right: Point): boolean =>
  (ms - left.ms) * (right.at - left.at) < (right.ms - left.ms) * (at - left.at);
