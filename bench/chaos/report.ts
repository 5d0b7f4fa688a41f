import { loadavg } from 'node:os';
import type { Faults } from './faults.js';
import { type PlannedKill, VICTIMS } from './kills.js';

/** What `--json` prints. */
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
}

export interface Details {
  readonly seed: number;
  readonly kills: readonly PlannedKill[];
  readonly faults: Readonly<Record<string, Faults>>;
  /** Failed attempts of stages by code, as the workers logged them. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Starts of stages that were not their first: calls that failed or whose worker was killed. */
  readonly startsAgain: number;
  readonly codes: ReadonlyMap<string, number>;
  /** Times of the runs that succeeded, in milliseconds. */
  readonly latencies: readonly number[];
  readonly wallMs: number;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** The table for people. */
export function table(
  totals: Totals,
  { seed, kills, faults, attempts, startsAgain, codes, latencies, wallMs }: Details,
): string {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => seconds(sorted[Math.floor(sorted.length * share)] ?? Number.NaN);
  const killed = new Map(VICTIMS.map((victim) => [victim, kills.filter((kill) => kill.victim === victim).length]));
  const shares = Object.entries(faults).map(([name, { seen, struck }]) => {
    const share = seen === 0 ? 0 : (100 * struck) / seen;
    return [`calls of ${name}`, `${seen} seen, ${struck} struck by a fault (${share.toFixed(1)} %)`];
  });
  const rows: readonly (readonly string[])[] = [
    ...Object.entries(totals).map(([name, value]) => [name, String(value)]),
    ['codes of failed runs', counted(codes)],
    ['time of a run', `median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(0.9999)}`],
    ['killed', counted(killed)],
    ...shares,
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
