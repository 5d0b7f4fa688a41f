import {
  type Load,
  mayBeLate,
  percentile,
  type SimulationOptions,
  type SimulationResult,
  sortedNumbers,
} from '../simulator/index.js';
import { attainmentOf } from './attainment.js';
import { keptShare } from './error-budget.js';
import { runsByPipeline, valuesOf } from './own-runs.js';
import type { Objective, Problem } from './problem.js';
import { attained, limitsOf } from './targets.js';

/** Latencies of whole runs, in milliseconds. */
export interface Latencies {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export function latenciesOf(latencyMs: Float64Array): Latencies {
  const sorted = sortedNumbers(latencyMs);
  return { p50Ms: percentile(sorted, 0.5), p95Ms: percentile(sorted, 0.95), p99Ms: percentile(sorted, 0.99) };
}

/** Latencies of the runs of one of several pipelines. */
export interface PipelineLatencies extends Latencies {
  readonly pipeline: number;
}

/** Of a load of several pipelines, those of each that has runs which ended; empty: all runs are of one. */
export const latenciesByPipeline = (load: Load, latencyMs: Float64Array): readonly PipelineLatencies[] =>
  runsByPipeline(load).flatMap(({ pipeline, runs }) => {
    const own = latenciesOf(valuesOf(latencyMs, runs));
    return Number.isNaN(own.p50Ms) ? [] : [{ pipeline, ...own }];
  });

/** The latency at a percentile of the slowest pipeline. */
export const slowest = <At extends keyof Latencies>(
  { pipelines, ...all }: Record<At, number> & { readonly pipelines: readonly Record<At, number>[] },
  at: At,
): number => Math.max(all[at], ...pipelines.map((each) => each[at]));

/** When a simulation may stop, as too many runs are late. `share`: of the objective's time, less than 1 for a tighter one. */
export function untilLate(
  { objective, targets, load }: Problem,
  share: number,
): Required<Pick<SimulationOptions, 'giveUp' | 'limits'>> {
  const count = load.timesMs.length;
  const { p95Ms, p99Ms, errorBudget } = tightened(objective, share);
  return {
    giveUp:
      p99Ms !== undefined
        ? { afterMs: p99Ms, late: mayBeLate(count, keptShare(0.99, errorBudget)) }
        : { afterMs: p95Ms ?? Number.POSITIVE_INFINITY, late: mayBeLate(count, keptShare(0.95, errorBudget)) },
    limits: limitsOf(targets, count, share, errorBudget),
  };
}

/** Whether the simulated load, and in it each pipeline alone, meets the objective. `speed`, `share`: of the load, and of the objective's time. */
export function isInTime(problem: Problem, result: SimulationResult, speed: number, share: number): boolean {
  const objective = tightened(problem.objective, share);
  return (
    meets(latenciesOf(result.latencyMs), objective) &&
    latenciesByPipeline(problem.load, result.latencyMs).every((each) => meets(each, objective)) &&
    hits(problem, attained(problem.targets, result.observed), share) &&
    (isPlain(objective) || attainmentOf(problem, result, speed).used <= share)
  );
}

export const meets = ({ p95Ms, p99Ms }: Latencies, objective: Objective): boolean =>
  p95Ms <= (objective.p95Ms ?? Number.POSITIVE_INFINITY) && p99Ms <= (objective.p99Ms ?? Number.POSITIVE_INFINITY);

/** Whether the figures of stages meet their objectives. */
export const hits = ({ targets }: Problem, values: readonly number[], share = 1): boolean =>
  targets.every(({ ms }, i) => (values[i] ?? 0) <= ms * share);

/** Whether it demands nothing beyond its percentiles. */
export const isPlain = ({ goodput, worstMinute, errorBudget }: Objective): boolean =>
  goodput === undefined && worstMinute === undefined && errorBudget === undefined;

const tightened = ({ p95Ms, p99Ms, goodput, worstMinute, errorBudget }: Objective, share: number): Objective => ({
  goodput,
  worstMinute,
  errorBudget,
  p95Ms: p95Ms === undefined ? undefined : p95Ms * share,
  p99Ms: p99Ms === undefined ? undefined : p99Ms * share,
});
