import type { Load, SimulationResult } from '../simulator/index.js';
import type { Candidate } from './candidate.js';
import { isPlain, slowest } from './in-time.js';
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
  isPlain(problem.objective) && !demandsLosses(problem) && runsOf(problem) * LONG <= problem.load.timesMs.length;

/** Runs of a part. */
function runsOf({ load: { timesMs }, objective }: Problem): number {
  const spanMs = (timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0);
  const share = Math.max(LEAST.share, spanMs > 0 ? (LATENCIES * horizonMs(objective)) / spanMs : 1);
  return Math.max(LEAST.runs, Math.ceil(share * timesMs.length));
}

/**
 * The part of the load in which a placement is latest. Each time of its objective is as many times that of the load as the placement takes longer with the
 * part, at the same percentile.
 *
 * @param seen the placement with the whole load
 * @param tightened factor on all times of the part's objective
 */
export function partOf(problem: Problem, candidate: Candidate, seen: Seen, tightened = 1): Part {
  const { objective, targets } = problem;
  const runs = runsOf(problem);
  const own = { ...problem, load: latestRuns(problem.load, seen.result, slowest(seen, 'p95Ms'), runs) };
  const there = new Judge(own, false).see(candidate);
  const factor = MARGIN * tightened;
  const timeOf = (at: 'p95Ms' | 'p99Ms') => {
    const ms = objective[at];
    return ms === undefined ? undefined : ms * ratio(slowest(there, at), slowest(seen, at)) * factor;
  };
  const judged = {
    ...own,
    objective: { ...objective, p95Ms: timeOf('p95Ms'), p99Ms: timeOf('p99Ms') },
    targets: targets.map((target, i) => ({
      ...target,
      ms: target.ms * ratio(there.targets[i], seen.targets[i]) * factor,
    })),
  };
  return { problem: judged, judge: new Judge(judged, false), share: runs / problem.load.timesMs.length, tightened };
}

/** 1 if a time says nothing: there is none, or some run never ends. */
const ratio = (a = 1, b = 1): number => (a > 0 && b > 0 && Number.isFinite(a) && Number.isFinite(b) ? a / b : 1);

/** So many runs in a row, of which the most take longer than a time. */
function latestRuns(load: Load, { latencyMs }: SimulationResult, ms: number, runs: number): Load {
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
  const to = from + runs;
  return {
    timesMs: load.timesMs.slice(from, to),
    pipelines: load.pipelines.slice(from, to),
    sizes: Object.fromEntries(Object.entries(load.sizes).map(([column, values]) => [column, values.slice(from, to)])),
  };
}
