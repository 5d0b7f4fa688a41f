import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Observed, SimulatedStage } from '../simulator/index.js';
import { mayBeLate, percentile, sortedNumbers } from '../simulator/index.js';
import { nearest } from '../source/index.js';
import { type Metric, spellObjective } from '../workload/index.js';
import type { Draft } from './drafts.js';
import { keptShare } from './error-budget.js';
import { earliestEnds } from './paths.js';
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
      !made.some(({ times }) => times[v]?.tokenMs !== undefined)
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

/** Throws `SLO_UNREACHABLE` if an objective of a stage is below what idle devices need. */
export function checkTargets(
  targets: readonly Target[],
  stages: readonly SimulatedStage[],
  drafts: readonly (readonly Draft[])[],
  aloneMs: readonly number[],
): void {
  const fields = targets.flatMap((target): FieldError[] => {
    const { stage: v, metric } = target.observed;
    const least = leastOf(v, metric, stages, drafts, aloneMs);
    if (target.ms >= least) return [];
    const about = least < 10 ? least.toFixed(1) : String(Math.ceil(least));
    const message = `${spellObjective(target)}: ${target.ms} ms is less than the ${about} ms that it takes on idle devices: allow more, or profile faster variants or devices`;
    return [{ field: '--slo', message }];
  });
  if (fields.length > 0) throw invalidFields('SLO_UNREACHABLE', fields);
}

/** A cache that answers more of the calls says nothing about the time that a call takes at least. */
const MOSTLY = 0.5;

function leastOf(
  v: number,
  metric: Observed['metric'],
  stages: readonly SimulatedStage[],
  drafts: readonly (readonly Draft[])[],
  aloneMs: readonly number[],
): number {
  const times = (drafts[stages[v]?.pool ?? 0] ?? []).flatMap(({ times: of }) => of[v] ?? []);
  // What a cache has for most calls may take no time.
  const cached = (stages[v]?.cacheHitRate ?? 0) > MOSTLY;
  if (metric === 'whole') return cached ? 0 : Math.min(...times.map((each) => each.aloneMs));
  if (metric === 'token') return Math.min(...times.map(({ tokenMs }) => tokenMs ?? Number.POSITIVE_INFINITY));
  const first = cached ? 0 : Math.min(...times.map(({ firstMs }) => firstMs));
  // A reader begins with its maker's first piece; of that at least the first token is needed.
  const from = stages[v]?.streamFrom;
  const until = earliestEnds(stages.slice(0, v), aloneMs);
  const before = (stages[v]?.after ?? []).filter((each) => each !== from).map((each) => until[each] ?? 0);
  if (from !== undefined) before.push(leastOf(from, 'first', stages, drafts, aloneMs));
  return first + Math.max(0, ...before);
}

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
