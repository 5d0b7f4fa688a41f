import type { ScaledPool } from '../document/index.js';
import { attainable, type Candidate, Judge, type Problem } from '../planner/index.js';
import { rateOf } from '../simulator/index.js';
import { type Hour, totalRate } from './demand.js';

/** A placement of the schedule in its busiest hour. */
export interface InUse {
  readonly problem: Problem;
  readonly candidate: Candidate;
}

/**
 * Bounds for an autoscaler by pool: the fewest and the most replicas of the schedule, and the calls in a replica at which the next
 * one is due. That is what the simulator sees at the highest load at which a placement with fewer than most replicas keeps the
 * objective, less what the demand grows by while a server starts; of several placements the least.
 *
 * @param growthPerS steepest growth of the demand, in runs a second each second
 */
export function autoscalingOf(
  placements: readonly InUse[],
  growthPerS: number,
  coldStartMs: number,
  goOn: () => boolean,
): ScaledPool[] {
  const pools = placements[0]?.problem.pools ?? [];
  const counts = placements.map(({ candidate }) =>
    pools.map((_, p) => candidate.replicas.filter(({ pool }) => pool === p).length),
  );
  const bounds = pools.map((_, p) => {
    const own = counts.map((each) => each[p] ?? 0);
    return { least: Math.min(...own), most: Math.max(...own) };
  });
  const due = placements.map((placement, i) => {
    const grows = bounds.some(({ most }, p) => (counts[i]?.[p] ?? 0) < most);
    return grows ? callsWhenDue(placement, growthPerS, coldStartMs, goOn) : [];
  });
  return pools.map(({ model }, p): ScaledPool => {
    const { least, most } = bounds[p] ?? { least: 1, most: 1 };
    const calls = due.flatMap((each, i) => {
      const count = counts[i]?.[p] ?? 0;
      const inPool = each[p];
      return count < most && inPool !== undefined ? [inPool / count] : [];
    });
    return { model, least, most, callsPerReplica: calls.length > 0 ? rounded(Math.min(...calls)) : null };
  });
}

const rounded = (value: number): number => Number(value.toPrecision(3));

/** By pool: the calls in it, waiting and in progress, when the next replica is due. */
function callsWhenDue(
  { problem, candidate }: InUse,
  growthPerS: number,
  coldStartMs: number,
  goOn: () => boolean,
): readonly number[] {
  const judge = new Judge(problem);
  const rate = rateOf(problem.load);
  const most = goOn() ? attainable(judge, candidate) : 1;
  const grown = rate > 0 ? (growthPerS * coldStartMs) / 1000 / rate : 0;
  // It keeps the objective in its own hour in any case.
  const { result } = judge.see(candidate, { speed: Math.max(1, most - grown) });
  return problem.pools.map((_, p) =>
    problem.stages.reduce((sum, { pool }, v) => {
      const stage = result.stages[v];
      if (pool !== p || stage === undefined || result.spanMs <= 0) return sum;
      // Little's law: the time that calls spend in the pool, for each millisecond.
      return sum + (stage.calls * (stage.meanWaitMs + stage.meanServiceMs)) / result.spanMs;
    }, 0),
  );
}

/** The steepest growth of the demand from an hour to the next, in runs a second each second. */
export function growthOf(hours: readonly Hour[], repeats: boolean): number {
  const rates = hours.map(totalRate);
  const steps = rates.map((rate, h) => (h === 0 && !repeats ? 0 : rate - (rates.at(h - 1) ?? rate)));
  return Math.max(0, ...steps) / 3600;
}
