import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { callsIn, type Load, meanCalls, type SimulatedStage } from '../simulator/index.js';
import { spellObjective } from '../workload/index.js';
import type { Draft } from './drafts.js';
import { keptShare } from './error-budget.js';
import { runsByPipeline } from './own-runs.js';
import type { Objective, Target } from './problem.js';

/** Throws `INVALID_INPUT` for a load that cannot be simulated: none, or times that are not numbers in order. */
export function checkLoad({ timesMs }: Load): void {
  const wrong = timesMs.some((at, i) => !Number.isFinite(at) || at < (timesMs[i - 1] ?? at));
  if (timesMs.length > 0 && !wrong) return;
  const message = wrong
    ? 'the arrival times are not numbers in ascending order: give a trace sorted by time, or a rate from 1e-6 to 1e6'
    : 'no run arrives: give a trace with at least one line, or a rate';
  throw invalidFields('INVALID_INPUT', [{ field: '--trace', message }]);
}

/** Each takes some fifty bytes, in every simulation. */
const MOST_CALLS = 10_000_000;

/** Throws `INVALID_INPUT` for a load with more calls than can be simulated many times, before memory is taken for them. */
export function checkCalls({ timesMs }: Load, stages: readonly SimulatedStage[], names: readonly string[]): void {
  const each = stages.reduce((sum, { calls }) => sum + calls, 0);
  const runs = timesMs.length;
  if (runs * each <= MOST_CALLS) return;
  const most = Math.max(...stages.map(({ calls }) => calls));
  const name = names[stages.findIndex(({ calls }) => calls === most)] ?? '';
  const message = `${runs} runs with ${each} calls each (${most} calls of ${name}) are more than the ${MOST_CALLS} calls that are simulated: state fewer with --assume ${name.replace('/', ':')}.calls=<number>, or give a trace of at most ${Math.floor(MOST_CALLS / each)} runs`;
  throw invalidFields('INVALID_INPUT', [{ field: '--assume', message }]);
}

/** A load of less has no two whole minutes. */
const LEAST_MINUTES_MS = 120_000;

const spellPercentile = (share: number): string =>
  share === 0.99 ? 'a 99th percentile' : share === 0.95 ? 'a 95th percentile' : `p${Number((100 * share).toFixed(3))}`;

/** Fewest values of which one is beyond a percentile: that of fewer is their largest. */
const fewest = (share: number): number => Math.round(1 / (1 - share));

/**
 * Warnings about percentiles of too few runs. Throws `INVALID_INPUT` for an objective of a stage that hardly any run has: it
 * would hold with every placement.
 */
export function sampleWarnings(
  load: Load,
  pipelines: readonly string[],
  { p95Ms, p99Ms, worstMinute, errorBudget }: Objective,
  targets: readonly Target[],
  stages: readonly SimulatedStage[],
  drafts: readonly (readonly Draft[])[],
  seed = 1,
): readonly string[] {
  const runs = load.timesMs.length;
  const share = keptShare(p99Ms === undefined ? 0.95 : 0.99, errorBudget);
  const few = (what: string, have: number, of: number) =>
    have >= fewest(of)
      ? []
      : [
          `${what}: the load has about ${have} such runs, and ${spellPercentile(of)} of so few is their slowest: give a longer trace`,
        ];
  const mistakes: FieldError[] = [];
  const warnings = targets.flatMap((target) => {
    const have = Math.round(
      havingRuns(load, target, stages, drafts[stages[target.observed.stage]?.pool ?? 0] ?? [], seed),
    );
    if (have > 0) return few(spellObjective(target), have, keptShare(target.share, errorBudget));
    const message = `${spellObjective(target)}: no run of the load has it (share, cacheHitRate and tokens of the stage): remove it`;
    mistakes.push({ field: '--slo', message });
    return [];
  });
  if (mistakes.length > 0) throw invalidFields('INVALID_INPUT', mistakes);
  const spanMs = (load.timesMs.at(-1) ?? 0) - (load.timesMs[0] ?? 0);
  const short =
    worstMinute !== undefined && spanMs < LEAST_MINUTES_MS
      ? [
          `--worst-minute: the load lasts ${Math.round(spanMs / 1000)} s, which counts as one minute: give a longer trace`,
        ]
      : [];
  const several = runsByPipeline(load).flatMap((of) => few(`runs of ${pipelines[of.pipeline]}`, of.runs.length, share));
  const all = several.length > 0 ? several : few('whole runs', runs, share);
  const whole = p99Ms === undefined && p95Ms === undefined ? [] : all;
  return [...whole, ...warnings, ...short];
}

/** Runs of the load that have a figure, on average. */
function havingRuns(
  load: Load,
  { observed }: Target,
  stages: readonly SimulatedStage[],
  drafts: readonly Draft[],
  seed: number,
): number {
  const { stage: v, metric } = observed;
  const stage = stages[v];
  const table = drafts.flatMap(({ tables }) => tables[v] ?? [])[0];
  if (stage === undefined || table === undefined) return 0;
  const isMade = (run: number) => {
    if (load.pipelines[run] !== stage.pipeline || callsIn(stage, load, seed, run) === 0) return false;
    if (metric !== 'token' || table.batching === 'dynamic') return true;
    // The time for each token after the first needs two of them.
    const tokens = load.sizes[table.columnOut]?.[run] ?? Number.NaN;
    return (Number.isNaN(tokens) ? table.typicalOut : tokens) >= 2;
  };
  const runs = load.timesMs.reduce((sum, _, run) => sum + (isMade(run) ? 1 : 0), 0);
  return runs * stage.share * (metric === 'token' ? 1 - stage.cacheHitRate ** meanCalls(stage) : 1);
}
