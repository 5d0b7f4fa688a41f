import type { PlacementDocument } from '../document/index.js';
import { failedShare, measuredSpent } from './budgets.js';
import type { Drift } from './drift.js';
import { type Measured, measuredRate } from './measured.js';
import type { Replanned } from './replan.js';

const round = (value: number): number => Number(value.toFixed(value < 10 ? 2 : 0));
const UNITS = { rate: 'runs a second', service: 'ms a call', stage: 'ms', p95: 'ms', budget: '% spent' } as const;
const NAMES = {
  rate: 'arrivals',
  service: 'server time',
  stage: 'stage',
  p95: 'p95',
  budget: 'error budget',
  device: 'device lost',
} as const;

/** Measurements and drift as text; `placementText` prints the proposal itself. */
export function replanText(placement: PlacementDocument, measured: Measured, found: Replanned): string {
  const { version, predicted } = placement;
  const { drift, expected, proposal, refuseShare, problem } = found;
  const seconds = measured.windowMs / 1000;
  const ended = measured.completed / Math.max(seconds, 0.001);
  return [
    `Placement ${version} in force: ${round(measuredRate(measured))} runs a second began and ${round(ended)} ended in the last ${round(seconds)} s, p95 ${round(measured.runs.p95Ms)} ms (predicted ${round(predicted.p95Ms)} ms)`,
    ...budgetLines(placement, measured),
    ...(drift.length === 0 ? ['Nothing has drifted.'] : ['Drift', ...drift.map((each) => `  ${lineOf(each)}`)]),
    ...(drift.length > 0
      ? [
          expected
            ? `In force  predicted for now: ${round(expected.throughputPerSecond)} of ${round(expected.arrivedPerSecond)} runs a second end, p95 ${round(expected.p95Ms)} ms`
            : 'In force  a pool has no device left that the profiles know',
        ]
      : []),
    ...(problem === null ? [] : [`${proposal === null ? 'No proposal' : 'Not kept'}  ${problem}`]),
    ...(proposal?.version === version
      ? ['Unchanged  no better placement was found; if stages are slow for no reason listed above, profile again']
      : []),
    ...(refuseShare > 0
      ? [
          `Refuse  ${round(100 * refuseShare)} % of the runs: no placement on the devices that are left holds all of them`,
        ]
      : []),
  ].join('\n');
}

function budgetLines({ predicted }: PlacementDocument, measured: Measured): string[] {
  const failed = failedShare(measured);
  return measured.budgets
    .filter(({ count }) => count > 0)
    .map((budget) => {
      const { of, stage, ms, count, late } = budget;
      const spent = predicted.errorBudgets?.find((each) => each.of === of)?.spent;
      const what = stage === undefined ? 'runs' : 'calls';
      const failures = stage === undefined && failed > 0 ? `, ${round(100 * failed)} % of the runs failed` : '';
      const before = spent === undefined ? '' : ` (predicted ${round(100 * spent)} %)`;
      return `Budget  ${of}: ${late} of ${count} ${what} took more than ${round(ms)} ms${failures}: ${round(100 * measuredSpent(budget, measured))} % of its error budget spent${before}`;
    });
}

function lineOf(drift: Drift): string {
  if (drift.what === 'device') return `${NAMES.device}  ${drift.of}: ${drift.because}`;
  const { what, of, predicted, measured } = drift;
  const change =
    predicted > 0 ? ` (${measured >= predicted ? '+' : ''}${round((100 * (measured - predicted)) / predicted)} %)` : '';
  return `${NAMES[what]}  ${of}: ${round(measured)} ${UNITS[what]}, predicted ${round(predicted)}${change}`;
}
