import { Judge, searchCheapest } from '../../placement/planner/index.js';
import { enumeratedOptimum } from './enumerate.js';
import { smallInstance } from './instances.js';

export interface Exactness {
  readonly instances: number;
  /** Instances on which the planner’s cost is the optimum. */
  readonly equal: number;
  /** Largest excess of a placement's cost over the optimum, as a share. */
  readonly worstGap: number;
  /** Instances whose bound was above the optimum: must be none. */
  readonly boundsAbove: number;
  /** The same counts without the exhaustive search, as on large clusters. */
  readonly heuristic: { readonly equal: number; readonly worstGap: number };
}

/** A search ends by its own limits, not by the clock of a busy machine. */
const LIMIT_MS = 600_000;

/** Plans seeded feasible instances, and compares with an enumeration of all placements. */
export function exactness(instances: number, log: (line: string) => void): Exactness {
  const clock = () => performance.now();
  let equal = 0;
  let worstGap = 0;
  let boundsAbove = 0;
  let quick = 0;
  let quickGap = 0;
  let done = 0;
  for (let seed = 1; done < instances; seed += 1) {
    const problem = smallInstance(seed);
    const optimum = enumeratedOptimum(problem, new Judge(problem));
    if (optimum === Number.POSITIVE_INFINITY) continue;
    done += 1;
    const found = searchCheapest(problem, { timeLimitMs: LIMIT_MS, clock });
    const gap = found ? found.value / optimum - 1 : 1;
    if (gap < 1e-9) equal += 1;
    else log(`seed ${seed}: ${found?.value ?? 'none'} against ${optimum}`);
    worstGap = Math.max(worstGap, gap);
    if ((found?.bound ?? 0) > optimum * (1 + 1e-9)) boundsAbove += 1;
    const heuristic = searchCheapest(problem, { timeLimitMs: LIMIT_MS, clock, exhaustive: 0 });
    const quickly = heuristic ? heuristic.value / optimum - 1 : 1;
    if (quickly < 1e-9) quick += 1;
    quickGap = Math.max(quickGap, quickly);
    if (done % 25 === 0) log(`${done} of ${instances}: ${equal} equal`);
  }
  const round = (value: number) => Number(Math.max(0, value).toFixed(6));
  return {
    instances: done,
    equal,
    worstGap: round(worstGap),
    boundsAbove,
    heuristic: { equal: quick, worstGap: round(quickGap) },
  };
}
