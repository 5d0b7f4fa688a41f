import type { PlacementDocument } from '../document/index.js';
import { spentOf } from '../planner/index.js';
import { spellObjective } from '../workload/index.js';
import type { Measured, MeasuredBudget } from './measured.js';

/** An objective that ended runs can be compared with. */
export interface Promised {
  /** As in `predicted.errorBudgets`: `p99`, `p95`, or a figure such as `voice/answer latency p99`. */
  readonly of: string;
  /** Of a figure of a stage: `<pipeline>/<stage>`. Absent: of whole runs. */
  readonly stage?: string | undefined;
  /** Share of the runs that must take at most `ms`. */
  readonly share: number;
  readonly ms: number;
}

/** The objectives of a placement whose times Temporal has: of whole runs, and from a stage's inputs to its end. */
export function promisesOf({ slo: { p95Ms, p99Ms, stages = [] } }: PlacementDocument): readonly Promised[] {
  return [
    ...(p99Ms === undefined ? [] : [{ of: 'p99', share: 0.99, ms: p99Ms }]),
    ...(p95Ms === undefined ? [] : [{ of: 'p95', share: 0.95, ms: p95Ms }]),
    ...stages.flatMap(({ stage, metric, percentile, ms }): Promised[] => {
      const share = percentile / 100;
      return metric === 'latency' ? [{ of: spellObjective({ stage, metric, share }), stage, share, ms }] : [];
    }),
  ];
}

/** Share of the ended runs that failed. */
export const failedShare = ({ completed, failed }: Pick<Measured, 'completed' | 'failed'>): number =>
  completed + failed > 0 ? failed / (completed + failed) : 0;

/** What of an error budget ended runs have spent: those that were late, and of whole runs also those that failed. */
export function measuredSpent(budget: MeasuredBudget, measured: Pick<Measured, 'completed' | 'failed'>): number {
  const late = budget.count > 0 ? budget.late / budget.count : 0;
  const failed = budget.stage === undefined ? failedShare(measured) : 0;
  return spentOf(budget.share, late * (1 - failed) + failed);
}

/** A count exceeds its expectation by so many standard deviations by chance in one case of forty. */
const CHANCE = 2;

/** Whether a count is above what was expected by more than chance: the variance of a count of rare events is its mean. */
export const beyondChance = (count: number, expected: number): boolean =>
  count - expected > CHANCE * Math.sqrt(Math.max(1, expected));
