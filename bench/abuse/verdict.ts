import { median, round } from '../figures.js';
import type { Load } from './attack.js';
import type { Round } from './round.js';

/** Above these limits the attack counts as harmful. */
const MOST_RATIO = 2;
const MOST_GROWTH_MIB = 256;

/** Result of each attack, as printed by `--json`. */
export interface Verdict {
  readonly attack: string;
  /** Answers to the attacker. */
  readonly status: string;
  /** Absent for an attack without load. */
  readonly bystanderP99Ms: number | null;
  readonly controlP99Ms: number | null;
  readonly ratio: number | null;
  /** Peak memory, and its growth. */
  readonly gatewayRssMiB: number | null;
  readonly gatewayGrowthMiB: number | null;
  readonly workerRestarts: number;
  readonly rounds: number;
  /** Failures; empty if there are none. */
  readonly problems: readonly string[];
}

export interface Evidence {
  readonly attacked: readonly Round[];
  readonly control: readonly Round[];
  readonly beforeMiB: number;
  /** Parts of the stack that were restarted, and how often. */
  readonly died: ReadonlyMap<string, number>;
}

/** Medians of the rounds, and their failures. */
export function judge(attack: Load, { attacked, control, beforeMiB, died }: Evidence): Verdict {
  const p99 = (rounds: readonly Round[]) => round(median(rounds.map(({ served }) => served.p99)), 1);
  const bystanderP99Ms = p99(attacked);
  const controlP99Ms = p99(control);
  const ratio = round(bystanderP99Ms / controlP99Ms, 2);
  const gatewayRssMiB = round(Math.max(...attacked.map(({ gatewayMiB }) => gatewayMiB)), 0);
  const gatewayGrowthMiB = round(gatewayRssMiB - beforeMiB, 0);
  const statuses = sumOf(attacked.map(({ answers }) => answers));
  const wrong = sumOf([...attacked, ...control].map(({ served }) => served.wrong));
  const problems = [
    ...misfits(attack, [...statuses.keys()]),
    ...[...wrong].map(([status, count]) => `the bystander was answered ${status} ${count} times`),
    ...[...died].map(([part, count]) => `${part} died ${count} times`),
    ...(ratio > MOST_RATIO ? [`the bystander’s p99 is ${ratio} times the control’s`] : []),
    ...(gatewayGrowthMiB > MOST_GROWTH_MIB ? [`the gateway’s memory grew by ${gatewayGrowthMiB} MiB`] : []),
  ];
  return {
    attack: attack.name,
    status: [...statuses].map(([status, count]) => `${status} ×${count}`).join(', '),
    bystanderP99Ms,
    controlP99Ms,
    ratio,
    gatewayRssMiB,
    gatewayGrowthMiB,
    workerRestarts: died.get('worker') ?? 0,
    rounds: attacked.length,
    problems,
  };
}

/** Expected answers that did not occur, and unexpected ones that did. */
export function misfits({ must, may = [] }: Pick<Load, 'must' | 'may'>, came: readonly string[]): string[] {
  return [
    ...must.filter((status) => !came.includes(status)).map((status) => `never answered ${status}`),
    ...came.filter((status) => ![...must, ...may].includes(status)).map((status) => `answered ${status}`),
  ];
}

function sumOf(counts: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const sum = new Map<string, number>();
  for (const [what, count] of counts.flatMap((each) => [...each])) sum.set(what, (sum.get(what) ?? 0) + count);
  return new Map([...sum].sort(([, a], [, b]) => b - a));
}
