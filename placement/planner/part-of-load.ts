import { type Load, numbered } from '../simulator/index.js';
import type { Candidate } from './candidate.js';
import { isPlain, type Latencies, slowest } from './in-time.js';
import { Judge, type Seen } from './judge.js';
import { demandsLosses } from './losses.js';
import type { Problem } from './problem.js';
import { horizonMs } from './targets.js';

/** Fewest runs of a part, and least share of the load. */
const LEAST = { runs: 2_000, share: 0.125 };
/** A part lasts at least so many times as long as its runs may take, since it begins with empty queues. */
const LATENCIES = 10;
/** How many times as many runs as a part a load must have: with fewer, a search with parts hardly tries more placements. */
const LONG = 4;
/** Fewest calls of a load for which parts are worth it: those of fewer are simulated whole often enough, and parts mislead now and then. */
const LEAST_CALLS = 200_000;
/** Room that is left, since the time that the runs of a part take differs from that of the load's a little more or less with each placement. */
const MARGIN = 0.98;

/** Runs in a row of a long load, with an objective that stands for the load's. */
export interface Part {
  readonly problem: Problem;
  readonly judge: Judge;
  /** Of the load's runs. */
  readonly share: number;
  /** Factor on all times of its objective: below 1 it is tighter than what stood for the load's. */
  readonly tightened: number;
}

/**
 * Whether a search with parts of the load tries many more placements in the same time. An objective of a share of the runs, or of each minute, says nothing
 * of a part, and one that must be met after losses takes many simulations even with parts.
 */
export const isLong = (problem: Problem): boolean =>
  isPlain(problem.objective) &&
  !demandsLosses(problem) &&
  problem.load.timesMs.length * numbered(problem.stages).perRequest >= LEAST_CALLS &&
  runsOf(problem) * LONG <= problem.load.timesMs.length;

/** Runs of a part. */
function runsOf({ load: { timesMs }, objective }: Problem): number {
  const spanMs = (timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0);
  const share = Math.max(LEAST.share, spanMs > 0 ? (LATENCIES * horizonMs(objective)) / spanMs : 1);
  return Math.max(LEAST.runs, Math.ceil(share * timesMs.length));
}

/** What is known of a placement with the whole load. */
export interface Measured extends Omit<Latencies, 'p50Ms'> {
  readonly pipelines: readonly Latencies[];
  readonly targets: readonly number[];
  /** By run. */
  readonly latencyMs: Float64Array;
}

/** The same when other simulations have followed. */
export const measured = ({ p95Ms, p99Ms, pipelines, targets, result }: Seen): Measured => ({
  ...{ p95Ms, p99Ms, pipelines, targets },
  latencyMs: result.latencyMs.slice(),
});

/** The part of the load in which runs arrive fastest, with the load's objective: before anything is known of a placement. */
export function busiestPart(problem: Problem): Part {
  const { timesMs } = problem.load;
  const runs = runsOf(problem);
  let from = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let first = 0; first + runs <= timesMs.length; first += 1) {
    const spanMs = (timesMs[first + runs - 1] as number) - (timesMs[first] as number);
    if (spanMs < shortest) [from, shortest] = [first, spanMs];
  }
  return partWith(
    problem,
    { ...problem, load: partFrom(problem.load, from, runs) },
    { tightened: 1, at: () => 1, of: () => 1 },
  );
}

/**
 * The part of the load in which a placement is latest. Each time of its objective is as many times that of the load as the placement takes longer with the
 * part, at the same percentile.
 *
 * @param tightened factor on all times of the part's objective
 */
export function partOf(problem: Problem, candidate: Candidate, whole: Measured, tightened = 1): Part {
  const own = { ...problem, load: latestRuns(problem.load, whole.latencyMs, slowest(whole, 'p95Ms'), runsOf(problem)) };
  const there = new Judge(own, false).see(candidate);
  return partWith(problem, own, {
    tightened,
    at: (percentile) => ratio(slowest(there, percentile), slowest(whole, percentile)),
    of: (target) => ratio(there.targets[target], whole.targets[target]),
  });
}

/** How many times those of the load the times of a part's objective are. */
interface Factors {
  readonly tightened: number;
  readonly at: (percentile: 'p95Ms' | 'p99Ms') => number;
  readonly of: (target: number) => number;
}

function partWith({ objective, targets, load }: Problem, own: Problem, { tightened, at, of }: Factors): Part {
  const factor = MARGIN * tightened;
  const timeAt = (percentile: 'p95Ms' | 'p99Ms') => {
    const ms = objective[percentile];
    return ms === undefined ? undefined : ms * at(percentile) * factor;
  };
  const problem = {
    ...own,
    objective: { ...objective, p95Ms: timeAt('p95Ms'), p99Ms: timeAt('p99Ms') },
    targets: targets.map((target, i) => ({ ...target, ms: target.ms * of(i) * factor })),
  };
  return { problem, judge: new Judge(problem, false), share: own.load.timesMs.length / load.timesMs.length, tightened };
}

/** 1 if a time says nothing: there is none, or some run never ends. */
const ratio = (a = 1, b = 1): number => (a > 0 && b > 0 && Number.isFinite(a) && Number.isFinite(b) ? a / b : 1);

/** So many runs in a row, of which the most take longer than a time. */
function latestRuns(load: Load, latencyMs: Float64Array, ms: number, runs: number): Load {
  let late = 0;
  let most = -1;
  let from = 0;
  for (const [run, took] of latencyMs.entries()) {
    if (took > ms) late += 1;
    if (run >= runs && (latencyMs[run - runs] as number) > ms) late -= 1;
    if (run >= runs - 1 && late > most) {
      most = late;
      from = run - runs + 1;
    }
  }
  return partFrom(load, from, runs);
}

function partFrom({ timesMs, pipelines, sizes }: Load, from: number, runs: number): Load {
  const to = from + runs;
  return {
    timesMs: timesMs.slice(from, to),
    pipelines: pipelines.slice(from, to),
    sizes: Object.fromEntries(Object.entries(sizes).map(([column, values]) => [column, values.slice(from, to)])),
  };
}
