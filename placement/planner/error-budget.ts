import { percentile, type SimulationResult, sortedNumbers } from '../simulator/index.js';
import { spellObjective } from '../workload/index.js';
import { runsByPipeline, valuesOf } from './own-runs.js';
import type { Problem } from './problem.js';

/**
 * What an objective uses of its error budget: the share of the runs that it lets be late, 1 % for a 99th percentile. Failed runs
 * and outages use the same budget, so a plan that spends all of it leaves nothing for them (B. Beyer et al., Site Reliability
 * Engineering, O'Reilly 2016, chapter 3).
 */
export interface Spent {
  /** `p95`, `p99`, of one of several pipelines `voice p99`, a figure of a stage such as `voice/answer ttft p99`, or `goodput`: all of them at once. */
  readonly of: string;
  /** Share of the runs that are late, of those that have the figure and do not fail. */
  readonly beyond: number;
  /** Of the share that may be late: what is. Above 1 the objective is missed. */
  readonly spent: number;
}

/**
 * The share of the runs that must be in time for at most this part of an objective's error budget to be spent: of a 99th percentile
 * with half of its budget, 0.995. Without a part stated, all of the budget may be spent.
 */
export const keptShare = (share: number, budget = 1): number => Number((1 - (1 - share) * budget).toFixed(9));

/** What of its error budget a share uses of which `beyond` miss. */
export const spentOf = (share: number, beyond: number): number => beyond / Math.max(1 - share, LEAST_BUDGET);

/** Of an objective that lets no run be late: JSON has no infinite numbers. */
const LEAST_BUDGET = 1e-9;

type Stated = Pick<Problem, 'objective' | 'targets'> & Partial<Pick<Problem, 'load' | 'pipelines'>>;

/** A time that a share of the runs must meet, and the runs' own times; NaN: it failed, or lacks the figure. */
interface Figure {
  readonly of: string;
  readonly share: number;
  readonly ms: number;
  readonly timesMs: Float64Array;
}

function figuresOf(
  { objective, targets, load, pipelines = [] }: Stated,
  { latencyMs, observed }: SimulationResult,
): readonly Figure[] {
  const { p95Ms, p99Ms } = objective;
  const each = load ? runsByPipeline(load) : [];
  const whole = [
    { name: '', timesMs: latencyMs },
    ...each.map(({ pipeline, runs }) => ({ name: `${pipelines[pipeline]} `, timesMs: valuesOf(latencyMs, runs) })),
  ];
  return [
    ...whole.flatMap(({ name, timesMs }): Figure[] => [
      ...(p99Ms === undefined ? [] : [{ of: `${name}p99`, share: 0.99, ms: p99Ms, timesMs }]),
      ...(p95Ms === undefined ? [] : [{ of: `${name}p95`, share: 0.95, ms: p95Ms, timesMs }]),
    ]),
    ...targets.flatMap((target, i) => {
      const timesMs = observed[i];
      return timesMs ? [{ of: spellObjective(target), share: target.share, ms: target.ms, timesMs }] : [];
    }),
  ];
}

/**
 * What a simulated load spends of the error budget of each objective, in the order of the objectives.
 *
 * @param attainment share of the runs that meet all of them at once
 */
export function budgetsOf(problem: Stated, result: SimulationResult, attainment: number): readonly Spent[] {
  const { goodput } = problem.objective;
  const each = figuresOf(problem, result).map(({ of, share, ms, timesMs }): Spent => {
    let count = 0;
    let late = 0;
    for (const time of timesMs) {
      if (Number.isNaN(time)) continue;
      count += 1;
      if (time > ms) late += 1;
    }
    const beyond = count === 0 ? 0 : late / count;
    return { of, beyond, spent: spentOf(share, beyond) };
  });
  if (goodput === undefined) return each;
  const beyond = 1 - attainment;
  return [...each, { of: 'goodput', beyond, spent: spentOf(goodput, beyond) }];
}

/**
 * By objective with a time: the part of that time which the run uses that must still be in time for the error budget to be kept. Above
 * 1 more of it is spent than may be.
 */
export const usedOfBudgets = (problem: Stated, result: SimulationResult): readonly number[] =>
  figuresOf(problem, result).map(
    ({ share, ms, timesMs }) =>
      percentile(sortedNumbers(timesMs), keptShare(share, problem.objective.errorBudget)) / ms,
  );
