import { percentile, type SimulationResult, sortedNumbers } from '../simulator/index.js';
import { keptShare, usedOfBudgets } from './error-budget.js';
import { runsByPipeline, valuesOf } from './own-runs.js';
import type { Problem } from './problem.js';

/** Fewest runs of a minute from which its share says something. */
const LEAST_RUNS = 20;
const MINUTE_MS = 60_000;

/** The minute of the load, by arrival, in which the fewest runs meet all objectives. */
export interface Minute {
  /** From the first arrival to its begin, in seconds. */
  readonly fromS: number;
  readonly arrivedPerSecond: number;
  readonly share: number;
}

/** How many of a load's runs meet all objectives at once. */
export interface Attainment {
  /** Of those that neither fail nor are refused. */
  readonly share: number;
  /** Runs that do. */
  readonly runs: number;
  /**
   * Of the demands on this share, and on error budgets: the part of its objectives that the run at the demanded share uses up, in the
   * whole load or in a minute, whichever is more. Above 1 a demand is missed; 0 without a demand.
   */
  readonly used: number;
  /** Absent if the load has no two whole minutes with enough runs each. */
  readonly worstMinute?: Minute;
}

type Stated = Pick<Problem, 'objective' | 'targets' | 'load'> & Partial<Pick<Problem, 'pipelines'>>;

/**
 * Attainment of a simulated load: the share of its runs within all stated times at once, which is at most the least of the
 * shares within each. With the arrivals of a second it is the goodput (Zhong et al., DistServe, OSDI 2024, section 2).
 *
 * @param speed of the load: it arrives this many times as fast
 */
export function attainmentOf(problem: Stated, result: SimulationResult, speed = 1): Attainment {
  const used = usedByRun(problem, result);
  const { objective, load } = problem;
  const { goodput, worstMinute: inEach, errorBudget } = objective;
  const ended = sortedNumbers(used);
  const runs = inTime(ended);
  const start = load.timesMs[0] ?? 0;
  const minutes = minutesOf(load.timesMs, used, speed, start);
  const [worst] = minutes.toSorted((a, b) => a.share - b.share || b.arrivedPerSecond - a.arrivedPerSecond);
  // Of several pipelines each must meet the demands alone.
  const groups = [
    { ended, minutes },
    ...runsByPipeline(load).map(({ runs: own }) => {
      const of = valuesOf(used, own);
      return { ended: sortedNumbers(of), minutes: minutesOf(valuesOf(load.timesMs, own), of, speed, start) };
    }),
  ];
  const demands = [
    ...groups.flatMap((group) => [
      ...(goodput === undefined ? [] : [percentile(group.ended, keptShare(goodput, errorBudget))]),
      ...(inEach === undefined
        ? []
        : [...group.minutes.map((minute) => minute.runs), group.ended].map((each) => percentile(each, inEach))),
    ]),
    ...(errorBudget === undefined ? [] : usedOfBudgets(problem, result)),
  ];
  return {
    share: ended.length === 0 ? 1 : runs / ended.length,
    runs,
    used: Math.max(0, ...demands.filter((each) => !Number.isNaN(each))),
    ...(worst && {
      worstMinute: { fromS: worst.fromS, arrivedPerSecond: worst.arrivedPerSecond, share: worst.share },
    }),
  };
}

/**
 * By run, the part of its objectives that it uses up: of the one that it comes nearest to. NaN: it failed or was refused. Of two
 * percentiles of one figure the later time counts.
 */
function usedByRun({ objective, targets }: Stated, { latencyMs, observed }: SimulationResult): Float64Array {
  const whole = objective.p99Ms ?? objective.p95Ms ?? Number.POSITIVE_INFINITY;
  const limits = targets.map((target) =>
    Math.max(
      ...targets.filter((each) => each.stage === target.stage && each.metric === target.metric).map(({ ms }) => ms),
    ),
  );
  return latencyMs.map((ms, run) => {
    if (!Number.isFinite(ms)) return ms;
    let used = ms / whole;
    for (const [i, limit] of limits.entries()) {
      const part = (observed[i]?.[run] ?? Number.NaN) / limit;
      if (part > used) used = part;
    }
    return used;
  });
}

interface MinuteOfRuns extends Minute {
  /** What each of its runs uses up, ascending. */
  readonly runs: Float64Array;
}

/** Those from `start`, which is in the times of the load, with enough runs. */
function minutesOf(timesMs: Float64Array, used: Float64Array, speed: number, start: number): readonly MinuteOfRuns[] {
  const minutes: MinuteOfRuns[] = [];
  for (let from = 0; from < timesMs.length; ) {
    const minute = Math.floor(((timesMs[from] ?? 0) - start) / speed / MINUTE_MS);
    let to = from + 1;
    while (to < timesMs.length && ((timesMs[to] ?? 0) - start) / speed < (minute + 1) * MINUTE_MS) to += 1;
    const runs = sortedNumbers(used.subarray(from, to));
    // The last minute may have begun only.
    const whole = to < timesMs.length || minute === 0;
    if (whole && runs.length >= LEAST_RUNS) {
      const arrivedPerSecond = (to - from) / (MINUTE_MS / 1000);
      minutes.push({ fromS: minute * 60, arrivedPerSecond, share: inTime(runs) / runs.length, runs });
    }
    from = to;
  }
  return minutes.length < 2 ? [] : minutes;
}

/** Of ascending parts used up: how many are not above 1. */
function inTime(ascending: Float64Array): number {
  const late = ascending.findIndex((used) => used > 1);
  return late < 0 ? ascending.length : late;
}
