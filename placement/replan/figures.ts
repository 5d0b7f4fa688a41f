import type { PlacementDocument } from '../document/index.js';
import { measuredSpent } from './budgets.js';
import { type Measured, measuredRate } from './measured.js';

/** A predicted figure beside the measured one, in the units of metrics. */
export interface Figure {
  /** `rate`: runs that begin a second. `error_budget`: the part that is spent. */
  readonly figure: 'rate' | 'p95_seconds' | 'stage_seconds' | 'error_budget';
  /** The stage or the objective; empty: whole runs. */
  readonly of: string;
  /** Undefined if the placement does not predict it. */
  readonly predicted: number | undefined;
  /** Undefined if no run or call that has it was seen. */
  readonly measured: number | undefined;
}

/** What a placement predicts, and what was measured of it. */
export function figuresOf({ ratePerSecond, predicted }: PlacementDocument, measured: Measured): readonly Figure[] {
  const { runs, stages, budgets } = measured;
  return [
    { figure: 'rate', of: '', predicted: ratePerSecond, measured: measuredRate(measured) },
    {
      figure: 'p95_seconds',
      of: '',
      predicted: predicted.p95Ms / 1_000,
      measured: runs.count > 0 ? runs.p95Ms / 1_000 : undefined,
    },
    ...Object.entries(predicted.stages).map(([of, { waitMs, serviceMs }]): Figure => {
      const seen = stages[of];
      return {
        figure: 'stage_seconds',
        of,
        predicted: (waitMs + serviceMs) / 1_000,
        measured: seen && seen.calls > 0 ? seen.meanMs / 1_000 : undefined,
      };
    }),
    ...budgets.map(
      (budget): Figure => ({
        figure: 'error_budget',
        of: budget.of,
        predicted: predicted.errorBudgets?.find(({ of }) => of === budget.of)?.spent,
        measured: budget.count > 0 ? measuredSpent(budget, measured) : undefined,
      }),
    ),
  ];
}
