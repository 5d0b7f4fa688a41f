import { buildProblem, type PlannerInput, searchCheapest } from '../../placement/planner/index.js';
import { HARDER, type Pair, pairOf } from './instances.js';

/** Costs of the easier and of the harder instance of a pair; infinite if it was said to be infeasible. */
export type PairCosts = readonly [easier: number, harder: number];

export interface Monotone {
  readonly pairs: number;
  /** Time of each search, in looks at the clock. */
  readonly looks: number;
  /** Pairs whose easier instance costs more, by what makes the other harder; or is said to be infeasible. */
  readonly violations: Readonly<Record<Pair['by'], number>>;
  readonly share: number;
  /** Share of the pairs whose easier instance costs more by over 5 %. */
  readonly shareAbove5: number;
  /** Largest excess of the easier instance's cost, as a share; infinite: it was said to be infeasible. */
  readonly worst: number;
  /** Average of cost / bound - 1 over all plans: dear plans would be monotone too. */
  readonly meanGap: number;
  readonly infeasible: number;
  /** Processor time of all searches. */
  readonly cpuMs: number;
  /** By pair: to compare with another run. */
  readonly costs: readonly PairCosts[];
}

/** Looks at the clock in place of time, so that the result is the same on any machine: some tenths of a second. */
export const LOOKS = 6_000;

/** Cost and bound of a plan; infinite if it is infeasible. */
export function planned(input: PlannerInput, timeLimitMs = LOOKS): { readonly cost: number; readonly gap: number } {
  let looks = 0;
  const found = (() => {
    try {
      return searchCheapest(buildProblem(input), { timeLimitMs, clock: () => looks++ });
    } catch {
      // An objective below what idle devices need.
      return undefined;
    }
  })();
  if (found === undefined) return { cost: Number.POSITIVE_INFINITY, gap: Number.NaN };
  return { cost: found.value, gap: found.value / found.bound - 1 };
}

/** By how much the easier instance costs more, as a share; 0 if it does not. */
export const excessOf = (easier: number, harder: number): number =>
  easier <= harder * (1 + 1e-9) || harder === Number.POSITIVE_INFINITY ? 0 : easier / harder - 1;

const shareOf = (count: number, pairs: number): number => Number((count / Math.max(1, pairs)).toFixed(4));

/** Plans seeded pairs of instances, and counts those whose easier one costs more. */
export function monotony(pairs: number, looks: number, log: (line: string) => void): Monotone {
  const violations = Object.fromEntries(HARDER.map((by) => [by, 0])) as Record<Pair['by'], number>;
  let worst = 0;
  let above5 = 0;
  let infeasible = 0;
  const gaps: number[] = [];
  const costs: PairCosts[] = [];
  const begun = process.cpuUsage();
  for (let seed = 1; seed <= pairs; seed += 1) {
    const { by, easier, harder } = pairOf(seed);
    const [a, b] = [planned(easier, looks), planned(harder, looks)];
    costs.push([a.cost, b.cost]);
    for (const { cost, gap } of [a, b]) {
      if (cost === Number.POSITIVE_INFINITY) infeasible += 1;
      else gaps.push(gap);
    }
    const excess = excessOf(a.cost, b.cost);
    if (excess > 0) {
      violations[by] += 1;
      worst = Math.max(worst, excess);
      if (excess > 0.05) above5 += 1;
      log(`seed ${seed}, ${by}: ${a.cost.toFixed(2)} for the easier, ${b.cost.toFixed(2)} for the harder`);
    }
    if (seed % 25 === 0) log(`${seed} of ${pairs}: ${JSON.stringify(violations)}`);
  }
  const all = Object.values(violations).reduce((sum, count) => sum + count, 0);
  const { user, system } = process.cpuUsage(begun);
  return {
    pairs,
    looks,
    violations,
    share: shareOf(all, pairs),
    shareAbove5: shareOf(above5, pairs),
    worst: Number(worst.toFixed(4)),
    meanGap: Number((gaps.reduce((sum, gap) => sum + gap, 0) / Math.max(1, gaps.length)).toFixed(4)),
    infeasible,
    cpuMs: Math.round((user + system) / 1000),
    costs,
  };
}
