import { cheapest, costOf, Judge } from '../planner/index.js';
import { rateOf } from '../simulator/index.js';
import { alignedIfHeld } from './align.js';
import { type Candidates, type HourProblem, type SearchLimits, searchedAlone } from './candidates.js';
import type { Hour } from './demand.js';
import { type Placed, placedOf, transferred } from './switching.js';

/** The candidates' costs in the hours with one demand. */
export interface JudgedHour {
  /** By candidate: its cost for an hour; infinite: it does not keep the objective, or was not judged in time. */
  readonly costs: readonly number[];
  /** No placement costs less in such an hour. */
  readonly bound: number;
}

/**
 * Judges every candidate in every distinct hour, by the simulator, as a placement is judged: first the one for the peak, then
 * those for the demand that is nearest above. An hour that no candidate carries is searched for itself, and its placement becomes
 * a candidate for it. Within the time limit; but at least one candidate is found for each hour.
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
    for (const [n, { c, placed }] of inOrder(found.all, rateOf(problem.load)).entries()) {
      const some = costs.some((each) => each < Number.POSITIVE_INFINITY);
      if (some && n >= LEAST_JUDGED && clock() >= ends) {
        complete = false;
        break;
      }
      const candidate = transferred(placed, problem);
      if (candidate && judge.holds(candidate)) costs[c] = costOf(problem, candidate);
    }
    if (costs.every((cost) => cost === Number.POSITIVE_INFINITY)) {
      const own = searchedAlone(of, clock, Math.max(1, ends - clock()), false);
      const [peak] = found.all;
      if (own) {
        const placed = found.add(placedOf(problem, peak ? alignedIfHeld(judge, own.candidate, peak) : own.candidate));
        costs[found.all.indexOf(placed)] = costOf(problem, placed.candidate);
        found.bounds.set(hour.key, own.bound);
      }
    }
    const bound = Math.max(cheapest(problem).value, found.bounds.get(hour.key) ?? 0);
    judged.set(hour.key, { costs, bound: Math.min(bound, ...costs) });
  }
  return { judged, complete };
}

/** Candidates that are judged in every hour, however slow the machine is: that for the peak, and the one nearest above. */
const LEAST_JUDGED = 2;

/** The first, which is for the peak; then those made for at least this rate, the nearest first; then the others. */
function inOrder(all: readonly Placed[], rate: number): readonly { readonly c: number; readonly placed: Placed }[] {
  return all
    .map((placed, c) => {
      const more = rateOf(placed.problem.load) - rate;
      return { c, placed, rank: c === 0 ? 0 : more >= 0 ? 1 : 2, distance: Math.abs(more) };
    })
    .sort((a, b) => a.rank - b.rank || a.distance - b.distance);
}
