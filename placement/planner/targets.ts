import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Observed, SimulatedStage } from '../simulator/index.js';
import { mayBeLate, percentile, sortedNumbers } from '../simulator/index.js';
import { nearest } from '../source/index.js';
import { type Metric, spellObjective } from '../workload/index.js';
import type { Draft } from './drafts.js';
import { keptShare } from './error-budget.js';
import { attainableMs, type LeastTimes } from './least-times.js';
import type { Objective, Target } from './problem.js';

/** What the simulator records for a metric. */
const RECORDED = {
  ttft: 'first',
  ttfa: 'first',
  tpot: 'token',
  latency: 'whole',
} as const satisfies Record<Metric, Observed['metric']>;

/**
 * The objectives of stages, resolved. Throws `INVALID_INPUT` for a stage that the pipelines lack, or a metric that it does
 * not have.
 */
export function targetsOf(
  { stages: wanted = [] }: Objective,
  names: readonly string[],
  stages: readonly SimulatedStage[],
  drafts: readonly (readonly Draft[])[],
): readonly Target[] {
  const mistakes: FieldError[] = [];
  const targets = wanted.flatMap((each): Target[] => {
    const v = names.indexOf(each.stage);
    const wrong = (message: string) => {
      mistakes.push({ field: '--slo', message: `${spellObjective(each)}: ${message}` });
      return [];
    };
    if (v < 0) return wrong(`there is no placed stage "${each.stage}"${nearest(each.stage, names)}`);
    const made = drafts[stages[v]?.pool ?? 0] ?? [];
    if (
      (each.metric === 'ttft' || each.metric === 'tpot') &&
      !made.some(({ profile }) => profile.batching === 'continuous')
    ) {
      const instead = each.metric === 'ttft' ? '"ttfa", its first output, or "latency"' : '"latency"';
      return wrong(`none of its profiles counts tokens (batching "continuous"): use ${instead}`);
    }
    return [{ ...each, observed: { stage: v, metric: RECORDED[each.metric] } }];
  });
  if (mistakes.length > 0) throw invalidFields('INVALID_INPUT', mistakes);
  return targets;
}

/** The drafts without those that count no tokens, where an objective is about tokens: it would hold with them unseen. */
export const countingTokens = (
  drafts: readonly (readonly Draft[])[],
  targets: readonly Target[],
  stages: readonly SimulatedStage[],
): readonly (readonly Draft[])[] =>
  drafts.map((own, pool) => {
    const named = targets.some(
      ({ metric, observed }) => (metric === 'ttft' || metric === 'tpot') && stages[observed.stage]?.pool === pool,
    );
    return named ? own.filter(({ profile }) => profile.batching === 'continuous') : own;
  });

/** Throws `SLO_UNREACHABLE` if more runs than may be late exceed an objective of a stage even on idle devices. */
export function checkTargets(targets: readonly Target[], times: LeastTimes): void {
  const fields = targets.flatMap((target): FieldError[] => {
    const least = attainableMs(times.figureMs(target.observed), target.share, times.failing);
    if (target.ms >= least * (1 - ROUNDING)) return [];
    const about = least < 10 ? least.toFixed(1) : String(Math.ceil(least * (1 - ROUNDING)));
    const message = `${spellObjective(target)}: ${target.ms} ms is less than the ${about} ms that it takes on idle devices: allow more, or profile faster variants or devices`;
    return [{ field: '--slo', message }];
  });
  if (fields.length > 0) throw invalidFields('SLO_UNREACHABLE', fields);
}

/** What times may be off by. */
const ROUNDING = 1e-9;

/** What a simulation is told to record, and when to give up. */
export const limitsOf = (targets: readonly Target[], count: number, share = 1, errorBudget?: number) =>
  targets.map((target) => ({
    afterMs: target.ms * share,
    late: mayBeLate(count, keptShare(target.share, errorBudget)),
  }));

/** The percentile of each target's figure; 0 if no run has it. */
export const attained = (targets: readonly Target[], observed: readonly Float64Array[]): readonly number[] =>
  targets.map(({ share }, i) => {
    const sorted = sortedNumbers(observed[i] ?? new Float64Array(0));
    return sorted.length > 0 ? percentile(sorted, share) : 0;
  });

/** The longest time of an objective for whole runs; without one, the longest of its stages. */
export function horizonMs({ p95Ms, p99Ms, stages = [] }: Objective): number {
  const whole = Math.min(p95Ms ?? Number.POSITIVE_INFINITY, p99Ms ?? Number.POSITIVE_INFINITY);
  if (Number.isFinite(whole)) return whole;
  // A token's time says nothing about a run's: a hundred of them do.
  return Math.max(1, ...stages.map(({ metric, ms }) => (metric === 'tpot' ? 100 * ms : ms)));
}
