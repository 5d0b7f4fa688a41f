import { cheapest, fastest } from './bound.js';
import { type Candidate, costOf, keyOf } from './candidate.js';
import { anyThatHolds, areFew, exhaust, hasLlm, MOST_ASSIGNMENTS, refutedBelow } from './exhaust.js';
import { firstDrafts, improve, refined } from './improve.js';
import { Judge } from './judge.js';
import { gathered } from './locality.js';
import { LowerBound } from './lower-bound.js';
import { oneOfEach } from './one-of-each.js';
import { isLong } from './part-of-load.js';
import { perturbed } from './perturb.js';
import type { Problem } from './problem.js';
import { fastestPlacement } from './rate.js';
import { SearchByParts } from './search-by-parts.js';

export interface SearchOptions {
  readonly timeLimitMs: number;
  /** Clock in milliseconds with an arbitrary origin; the planner reads no clock of its own. */
  readonly clock: () => number;
  /** Placements that a search for rate also starts from, and one for cost if no draft meets the objective. */
  readonly seeds?: () => readonly Candidate[];
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

/** Shares of the time by the end of each part of a search. */
const UNTIL = {
  drafts: 0.3,
  improved: 0.4,
  bound: 0.5,
  /** With batches that may wait to fill. */
  oneOfEach: 0.62,
  perturbed: 0.72,
  /** Of a search with too many placements to try. */
  bounded: 0.76,
  /** Of a search with few placements to try. */
  fewExhausted: 0.82,
  exhausted: 0.94,
  refined: 0.97,
  gathered: 1,
} as const;
/** The same with a long load: until the search with parts ends without a placement, and with one; then that for the bound. */
const WITH_PARTS = { withoutAny: 0.5, drafts: 0.65, improved: 0.68, bound: 0.78 } as const;
/** With batches that may wait, which are tried next. */
const WITH_PARTS_AND_DELAYS = { ...WITH_PARTS, improved: 0.42, bound: 0.5 } as const;
/** Share of the time for the bound, if the search with parts ends early. */
const FOR_BOUND = 0.1;
/** Share of the time in which the last turn with parts ends: its placement is then simulated with the whole load. */
const LAST_OF_PARTS = 0.9;
const MOST_EXHAUSTIVE = 2_000_000;
/** Random searches in a row that find nothing cheaper, after which no other is begun. */
const MOST_IDLE = 2;
/** Simulations after which a load that no draft carries counts as infeasible. */
const MOST_WITHOUT_DRAFT = 40_000;

/**
 * The cheapest placement that meets the objective; undefined if none is found. Anytime: returns the best at the time
 * limit.
 */
export function searchCheapest(
  problem: Problem,
  options: SearchOptions,
  judge = new Judge(problem),
): Searched | undefined {
  const { timeLimitMs, clock, exhaustive = MOST_EXHAUSTIVE, seeds = () => [] } = options;
  const start = clock();
  const within = (share: number) => () => clock() - start < share * timeLimitMs;
  const least = cheapest(problem).value;
  if (least === Number.POSITIVE_INFINITY) return undefined;
  const byParts = isLong(problem) ? new SearchByParts(problem, judge) : undefined;
  const withParts = problem.delaysMs.length > 0 ? WITH_PARTS_AND_DELAYS : WITH_PARTS;
  const ends = byParts ? withParts : UNTIL;
  const mayTryAll = exhaustive > 0 && problem.delaysMs.length === 0;
  const areFewFrom = (bound: number) => (each: Candidate) => mayTryAll && areFew(problem, bound, costOf(problem, each));
  const inTimeForParts = () => within(byParts?.best ? withParts.improved : withParts.withoutAny)();
  byParts?.goOn(least, inTimeForParts, undefined, areFewFrom(least));
  let [best, ...others] = byParts?.best
    ? [byParts.best]
    : improvedDrafts(problem, judge, within(ends.drafts), within(ends.improved));
  if (best === undefined) {
    // No draft holds: the placement with the highest rate does if any is at hand.
    const fastest = fastestPlacement(problem, judge, seeds, within(UNTIL.perturbed), 1);
    const found =
      fastest && judge.holds(fastest.candidate)
        ? fastest.candidate
        : (anyOf(problem, judge, within(ends.bound)) ??
          oneOfEach(problem, judge, Number.POSITIVE_INFINITY, 0, within(UNTIL.perturbed)));
    if (found === undefined) return undefined;
    best = improve(problem, judge, found, within(UNTIL.perturbed));
  }
  // Only now: until there is a placement, no simulation is cut short, however slow the machine is.
  judge.expired = () => !within(1)();
  const early = byParts ? (clock() - start) / timeLimitMs + FOR_BOUND : 1;
  const lower = new LowerBound(problem);
  lower.tighten(within(Math.min(ends.bound, Math.max(UNTIL.bound, early))), costOf(problem, best));
  const waiting = oneOfEach(problem, judge, costOf(problem, best), lower.value, within(UNTIL.oneOfEach));
  if (waiting) {
    others = [best, ...others];
    best = waiting;
  }
  /** Searches cheaper placements at random: with parts of a long load for as long as that finds any. */
  const random = (
    starts: readonly [Candidate, ...Candidate[]],
    least: number,
    goOn: () => boolean,
    round: number,
    isEnough?: (best: Candidate) => boolean,
  ) => {
    byParts?.goOn(least, () => goOn() && within(LAST_OF_PARTS)(), starts[0], isEnough);
    const best = byParts?.best ?? starts[0];
    if (byParts && !byParts.isSpent) return best;
    return perturbed(problem, judge, [best, ...starts.slice(1)], least, goOn, round, isEnough);
  };
  const isFewBelow = areFewFrom(lower.value);
  // Few placements are tried at once, or as soon as few are cheaper: that finds the cheapest, and proves it.
  let few = isFewBelow(best);
  let rounds = 0;
  if (!few) {
    const goOn = within(UNTIL.perturbed);
    best = improve(problem, judge, random([best, ...others], lower.value, goOn, rounds, isFewBelow), goOn);
    few = isFewBelow(best);
    rounds += 1;
  }
  // Of too many, trying the cheapest first only raises the bound: most of the time that is left is the random search's.
  const mayEnd = few || hasLlm(problem) || areFew(problem, lower.value, costOf(problem, best), MOST_ASSIGNMENTS);
  const exhausting = within(few ? UNTIL.fewExhausted : mayEnd ? UNTIL.exhausted : UNTIL.bounded);
  let bound = lower.value;
  let optimal = costOf(problem, best) <= bound * (1 + 1e-6) + 1e-9;
  // Placements whose batches wait are too many to try: what refutes those whose batches do not says nothing of them.
  if (!optimal && problem.delaysMs.length > 0) {
    bound = refutedBelow(problem, lower, costOf(problem, best), within(UNTIL.exhausted));
    optimal = costOf(problem, best) <= bound * (1 + 1e-6) + 1e-9;
  }
  for (let found = !optimal && mayTryAll; found; ) {
    const until = judge.simulations + exhaustive;
    const goOn = () => judge.simulations < until && exhausting();
    const tried = exhaust(problem, judge, lower, costOf(problem, best), goOn);
    bound = Math.max(bound, tried.refutedBelow);
    optimal = tried.complete;
    if (tried.found) best = tried.found;
    found = tried.found !== undefined && goOn() && costOf(problem, best) > bound * (1 + 1e-6) + 1e-9;
  }
  // Too many to try them all: what is left of the time finds cheaper ones at random.
  const inTime = within(UNTIL.exhausted);
  for (let idle = 0; idle < MOST_IDLE && !optimal && inTime(); rounds += 1) {
    const next = random([best, ...others], bound, inTime, rounds);
    const isCheaper = costOf(problem, next) < costOf(problem, best) - 1e-9;
    idle = isCheaper ? 0 : idle + 1;
    if (isCheaper) best = improve(problem, judge, next, inTime);
    optimal = costOf(problem, best) <= bound * (1 + 1e-6) + 1e-9;
  }
  best = gathered(problem, judge, refined(problem, judge, best, within(UNTIL.refined)), within(UNTIL.gathered));
  const value = costOf(problem, best);
  if (optimal && symmetric(problem)) bound = value;
  judge.expired = undefined;
  return {
    candidate: best,
    value,
    bound: Math.min(symmetric(problem) ? bound : Math.min(bound, Math.max(lower.value, 0)), value),
    optimal: optimal && symmetric(problem),
    simulations: judge.simulations,
  };
}

/**
 * A placement that holds though no draft does: drafts know nothing of losses, and leave devices the room that a load which only just fits needs.
 * Only on small clusters is there time to try them all.
 */
function anyOf(problem: Problem, judge: Judge, goOn: () => boolean): Candidate | undefined {
  const until = judge.simulations + MOST_WITHOUT_DRAFT;
  return anyThatHolds(problem, judge, new LowerBound(problem), () => judge.simulations < until && goOn());
}

/** The improved drafts that differ, cheapest first; each gets its part of the time. */
function improvedDrafts(
  problem: Problem,
  judge: Judge,
  drafting: () => boolean,
  improving: () => boolean,
): readonly Candidate[] {
  const improved = firstDrafts(problem, judge, drafting).map((draft) => improve(problem, judge, draft, improving));
  const known = new Map(improved.map((each) => [keyOf(problem, each), each] as const));
  return [...known.values()].sort((a, b) => costOf(problem, a) - costOf(problem, b));
}

/** The placement with the highest rate; its value is in loads: 2 is twice the rate of the problem's load. */
export function searchFastest(
  problem: Problem,
  options: SearchOptions,
  judge = new Judge(problem),
): Searched | undefined {
  const { timeLimitMs, clock, seeds = () => [] } = options;
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
