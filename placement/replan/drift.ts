import type { PlacementDocument, Predicted } from '../document/index.js';
import { beyondChance } from './budgets.js';
import { type Measured, measuredRate } from './measured.js';

/** A deviation from the placement's prediction. */
export type Drift =
  | {
      /**
       * `rate`: arriving runs per second. `service`: milliseconds of a model's call at its server. `stage`:
       * milliseconds of a stage, wait and service together. `p95`: milliseconds within which 95 % of the runs end. `budget`: percent of an
       * objective's error budget that late runs have spent; where the placement does not predict it, 100 is what it allows.
       */
      readonly what: 'rate' | 'service' | 'stage' | 'p95' | 'budget';
      /** The pipelines, the model, the stage or the objective. */
      readonly of: string;
      readonly predicted: number;
      readonly measured: number;
    }
  | { readonly what: 'device'; readonly of: string; readonly because: string };

/** Tolerated relative deviation: the accuracy of predictions. */
export const TOLERANCE = 0.2;
/** Orchestration overhead of a stage in milliseconds, which profiles do not include. */
const ORCHESTRATION_MS = 25;
/** Minimum calls for a meaningful mean, minimum runs for two beyond the 95th percentile, and runs that may be late: 1 of 100 at a p99. */
const LEAST = { calls: 20, runs: 40, late: 0.999 };
/** A count deviates by this many standard deviations by chance in one case of twenty. */
const CHANCE = 2;

export interface DriftOptions {
  readonly tolerance: number;
  /** The placement's prediction at the measured rate on the remaining devices; undefined if unknown. */
  readonly expected: Pick<Predicted, 'stages'> | undefined;
  /** It serves several hours of a day and was predicted for the busiest: less load and shorter times are no drift. */
  readonly scheduled?: boolean | undefined;
}

/**
 * Deviations between measurement and prediction beyond tolerance and chance: lost devices, the rate, the servers' own
 * times, then their consequences.
 */
export function driftOf(placement: PlacementDocument, measured: Measured, options: DriftOptions): readonly Drift[] {
  const { tolerance, expected, scheduled = false } = options;
  const { predicted } = placement;
  const differs = (by: number, from: number) => Math.abs(by - from) > tolerance * from;
  const drift: Drift[] = measured.lost.map(({ device, because }) => ({ what: 'device', of: device, because }));
  const rate = measuredRate(measured);
  if (differs(rate, placement.ratePerSecond) && !byChance(rate, placement.ratePerSecond, measured.windowMs)) {
    // With objective "rate" the placement serves as much as possible: a lower rate is no reason to change it.
    if ((placement.objective === 'cost' && !scheduled) || rate > placement.ratePerSecond) {
      const of = Object.keys(measured.started).join(', ');
      drift.push({ what: 'rate', of, predicted: placement.ratePerSecond, measured: rounded(rate) });
    }
  }
  for (const { model, from, by } of servicesOf(placement, measured, expected)) {
    if (differs(by, from)) drift.push({ what: 'service', of: model, predicted: rounded(from), measured: rounded(by) });
  }
  for (const [stage, { waitMs, serviceMs }] of Object.entries(predicted.stages)) {
    const { calls = 0, meanMs = 0 } = measured.stages[stage] ?? {};
    const from = waitMs + serviceMs;
    if (scheduled && meanMs < from) continue;
    if (calls >= LEAST.calls && differs(meanMs, from) && Math.abs(meanMs - from) > ORCHESTRATION_MS) {
      drift.push({ what: 'stage', of: stage, predicted: rounded(from), measured: rounded(meanMs) });
    }
  }
  const { count, p95Ms } = measured.runs;
  const orchestration = ORCHESTRATION_MS * Object.keys(predicted.stages).length;
  if (count >= LEAST.runs && p95Ms > predicted.p95Ms * (1 + tolerance) + orchestration) {
    drift.push({ what: 'p95', of: 'runs', predicted: rounded(predicted.p95Ms), measured: rounded(p95Ms) });
  }
  return [...drift, ...overspent(placement, measured)];
}

/** Error budgets of which late runs spend more than all. Failed ones spend them too, but no placement mends what callers or models do wrong. */
function overspent({ predicted }: PlacementDocument, measured: Measured): readonly Drift[] {
  return measured.budgets.flatMap((budget): Drift[] => {
    const { of, share, count, late } = budget;
    const allowed = (1 - share) * count;
    // Of fewer runs a single late one may be all of the budget.
    if (allowed < LEAST.late || !beyondChance(late, allowed)) return [];
    const expected = predicted.errorBudgets?.find((each) => each.of === of)?.spent ?? 1;
    return [{ what: 'budget', of, predicted: rounded(100 * expected), measured: rounded((100 * late) / allowed) }];
  });
}

const rounded = (value: number): number => Number(value.toFixed(value < 10 ? 2 : 1));

/** Whether chance explains the difference of two arrival rates in a window of this length. */
function byChance(measured: number, predicted: number, windowMs: number): boolean {
  const seconds = windowMs / 1000;
  return Math.abs(measured - predicted) * seconds <= CHANCE * Math.sqrt(Math.max(measured, predicted) * seconds);
}

/** Call times at the servers, by model: the prediction for the current load, if known, and the measurement. */
function servicesOf(
  { stages, predicted }: PlacementDocument,
  { services }: Measured,
  { stages: now }: Pick<Predicted, 'stages'> = predicted,
) {
  return Object.entries(services).flatMap(([model, { calls, meanMs }]) => {
    const own = Object.entries(stages).flatMap(([stage, its]) => (its === model ? (now[stage] ?? []) : []));
    if (calls < LEAST.calls || own.length === 0) return [];
    const from = own.reduce((sum, { serviceMs }) => sum + serviceMs, 0) / own.length;
    return from > 0 ? [{ model, from, by: meanMs }] : [];
  });
}

/** Measured call time as a multiple of the profile's, for models that have drifted. */
export const slowdowns = (drift: readonly Drift[]): ReadonlyMap<string, number> =>
  new Map(
    drift.flatMap((each) => (each.what === 'service' ? [[each.of, each.measured / each.predicted] as const] : [])),
  );
