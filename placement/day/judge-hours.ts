import { costOf, Judge, LowerBound } from '../planner/index.js';
import { aligned } from './align.js';
import { type Candidates, type HourProblem, type SearchLimits, searchedAlone } from './candidates.js';
import type { Hour } from './demand.js';
import { placedOf, transferred } from './switching.js';

/** The candidates' costs in the hours with one demand. */
export interface JudgedHour {
  /** By candidate: its cost for an hour; infinite: it does not keep the objective, or was not judged in time. */
  readonly costs: readonly number[];
  /** No placement costs less in such an hour. */
  readonly bound: number;
}

/**
 * Judges every candidate in every distinct hour, by the simulator, as a placement is judged. An hour that no candidate carries
 * is searched for itself, and its placement becomes a candidate for it. Within the time limit; but at least one candidate is
 * found for each hour.
 *
 * @returns by the hour's key, and whether the time sufficed
 */
export function judgeHours(
  hours: readonly Hour[],
  problemOf: (hour: Hour) => HourProblem,
  found: Candidates,
  { clock, until }: SearchLimits,
): { readonly judged: ReadonlyMap<string, JudgedHour>; readonly complete: boolean } {
  const judged = new Map<string, JudgedHour>();
  let complete = true;
  for (const [i, hour] of hours.entries()) {
    const ends = clock() + Math.max(0, until - clock()) / (hours.length - i);
    const of = problemOf(hour);
    const { problem } = of;
    const judge = new Judge(problem);
    const costs = found.all.map(() => Number.POSITIVE_INFINITY);
    const byPrice = found.all.map((placed, c) => ({ c, cost: costOf(placed.problem, placed.candidate) }));
    // The one for the peak first: it carries most hours.
    byPrice.sort((a, b) => Number(b.c === 0) - Number(a.c === 0) || a.cost - b.cost);
    for (const { c, cost } of byPrice) {
      const some = costs.some((each) => each < Number.POSITIVE_INFINITY);
      if (some && clock() >= ends) {
        complete = false;
        break;
      }
      const placed = found.all[c];
      const candidate = placed && transferred(placed, problem);
      if (candidate && judge.holds(candidate)) costs[c] = cost;
    }
    if (costs.every((cost) => cost === Number.POSITIVE_INFINITY)) {
      const own = searchedAlone(of, clock, Math.max(1, ends - clock()), false);
      const [peak] = found.all;
      const placed = own && found.add(placedOf(problem, peak ? aligned(problem, own, peak) : own), true);
      if (placed) costs[found.all.indexOf(placed)] = costOf(problem, placed.candidate);
    }
    const least = Math.min(...costs);
    judged.set(hour.key, { costs, bound: Math.min(least, new LowerBound(problem).value) });
  }
  return { judged, complete };
}
