import { loadavg } from 'node:os';
import { percentile } from '../figures.js';
import type { PlannedIncident } from './incidents.js';
import type { StruckCalls } from './struck-calls.js';

/** Output of `--json`. */
export interface Totals {
  readonly runs: number;
  readonly succeeded: number;
  readonly failedWithCode: number;
  /** Runs that ended with neither a result of their own nor a code of the error table. */
  readonly lost: number;
  readonly hung: number;
  /** Stages that started again after their end was recorded. */
  readonly repeatedStages: number;
  /** Stages that called their server more often than their policy allows. */
  readonly callsOverPolicy: number;
  /** Side effects requested again after their end was recorded, or under another idempotency key. */
  readonly sideEffectsTwice: number;
  /**
   * Side effects requested again under the same key before their end was recorded: a worker died, or lost its lease,
   * meanwhile.
   */
  readonly underWayRepeated: number;
}

export interface Details {
  readonly seed: number;
  readonly incidents: readonly PlannedIncident[];
  /** By server; empty without model servers. */
  readonly struck: Readonly<Record<string, StruckCalls>>;
  /** Failed attempts of stages by code, as logged by the workers. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Starts of stages after their first: calls that failed or whose worker was killed. */
  readonly startsAgain: number;
  readonly codes: ReadonlyMap<string, number>;
  /** Times of the runs that succeeded, in milliseconds. */
  readonly latencies: readonly number[];
  readonly wallMs: number;
  /** Calls received by the failing replica. */
  readonly replicaFailed: number | undefined;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** The table as text. */
export function table(
  totals: Totals,
  { seed, incidents, struck, attempts, startsAgain, codes, latencies, wallMs, replicaFailed }: Details,
): string {
  const at = (share: number) => seconds(percentile(latencies, share));
  const happened = new Map<string, number>();
  for (const { name } of incidents) happened.set(name, (happened.get(name) ?? 0) + 1);
  const shares = Object.entries(struck).map(([name, calls]) => {
    const share = calls.seen === 0 ? 0 : (100 * calls.struck) / calls.seen;
    return [`calls of ${name}`, `${calls.seen} seen, ${calls.struck} struck by a fault (${share.toFixed(1)} %)`];
  });
  const rows: readonly (readonly string[])[] = [
    ...Object.entries(totals).map(([name, value]) => [name, String(value)]),
    ['codes of failed runs', counted(codes)],
    ['time of a run', `median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(0.9999)}`],
    ['incidents', counted(happened)],
    ...shares,
    ...(replicaFailed === undefined ? [] : [['calls that a replica failed', String(replicaFailed)]]),
    ['failed attempts', counted(attempts)],
    ['stages started again', `${startsAgain} times`],
    ['seed', String(seed)],
    ['wall time', seconds(wallMs)],
    [
      'load average',
      loadavg()
        .map((load) => load.toFixed(2))
        .join(', '),
    ],
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  return rows.map(([name = '', value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}
