import { cheapest, fastest } from './bound.js';
import { type Candidate, costOf } from './candidate.js';
import { exhaust } from './exhaust.js';
import { firstDrafts, improve, refined } from './improve.js';
import { Judge } from './judge.js';
import { gathered } from './locality.js';
import type { Problem } from './problem.js';
import { fastestPlacement } from './rate.js';

export interface SearchOptions {
  readonly timeLimitMs: number;
  /** Clock in milliseconds with an arbitrary origin; the planner reads no clock of its own. */
  readonly clock: () => number;
  /** Placements that a search for rate also starts from. */
  readonly seeds?: readonly Candidate[];
  /** Most simulations of the exhaustive search; 0: skip it. */
  readonly exhaustive?: number;
}

export interface Searched {
  readonly candidate: Candidate;
  /** Cost per hour, or rate as a multiple of the load's. */
  readonly value: number;
  readonly bound: number;
  /** Everything better was tried, or excluded by the bound. */
  readonly optimal: boolean;
  readonly simulations: number;
}

/** Share of the time for finding and improving; the rest is for the exhaustive search of cheaper placements. */
const HEURISTIC_SHARE = 0.6;
const MOST_EXHAUSTIVE = 300_000;

/**
 * The cheapest placement that meets the objective; undefined if none is found. Anytime: returns the best at the time
 * limit.
 */
export function searchCheapest(
  problem: Problem,
  options: SearchOptions,
  judge = new Judge(problem),
): Searched | undefined {
  const { timeLimitMs, clock, exhaustive = MOST_EXHAUSTIVE } = options;
  const start = clock();
  const within = (share: number) => () => clock() - start < share * timeLimitMs;
  const relaxed = cheapest(problem);
  const drafts = relaxed === Number.POSITIVE_INFINITY ? [] : firstDrafts(problem, judge, within(1));
  let best: Candidate | undefined;
  for (const draft of drafts) {
    const improved = improve(problem, judge, draft, within(HEURISTIC_SHARE));
    if (best === undefined || costOf(problem, improved) < costOf(problem, best)) best = improved;
  }
  const cost = best ? costOf(problem, best) : Number.POSITIVE_INFINITY;
  let bound = relaxed;
  let optimal = cost <= relaxed * (1 + 1e-6) + 1e-9;
  if (!optimal && relaxed < Number.POSITIVE_INFINITY && exhaustive > 0) {
    const until = judge.simulations + exhaustive;
    const inTime = within(1);
    const tried = exhaust(problem, judge, cost, () => judge.simulations < until && inTime());
    if (tried.found) best = tried.found;
    bound = Math.max(bound, tried.refutedBelow === Number.POSITIVE_INFINITY ? bound : tried.refutedBelow);
    optimal = tried.complete;
  }
  if (best === undefined) return undefined;
  best = gathered(problem, judge, refined(problem, judge, best, within(1.05)), within(1.1));
  const value = costOf(problem, best);
  if (optimal && symmetric(problem)) bound = value;
  return {
    candidate: best,
    value,
    bound: Math.min(bound, value),
    optimal: optimal && symmetric(problem),
    simulations: judge.simulations,
  };
}

/** The placement with the highest rate; its value is in loads: 2 is twice the rate of the problem's load. */
export function searchFastest(
  problem: Problem,
  options: SearchOptions,
  judge = new Judge(problem),
): Searched | undefined {
  const { timeLimitMs, clock, seeds = [] } = options;
  const start = clock();
  const found = fastestPlacement(problem, judge, seeds, () => clock() - start < timeLimitMs);
  if (found === undefined) return undefined;
  const bound = fastest(problem);
  return {
    candidate: found.candidate,
    value: found.speed,
    bound: Math.max(bound, found.speed),
    optimal: false,
    simulations: judge.simulations,
  };
}

/**
 * Whether devices of a cell are really equivalent: no link joins only some of them. Otherwise one does not represent
 * all.
 */
function symmetric({ cells, devices, inventory }: Problem): boolean {
  return inventory.links.every((link) =>
    cells.every((cell) => {
      const joined = cell.devices.filter((device) => link.devices.has(devices[device]?.id ?? '')).length;
      return joined === 0 || joined === cell.devices.length;
    }),
  );
}
