import { median, round } from '../overhead/contest.js';
import type { Load } from './attack.js';
import type { Round } from './round.js';

/** Above these the attack has harmed somebody. */
const MOST_RATIO = 2;
const MOST_GROWTH_MIB = 256;

/** What `--json` prints of each attack. */
export interface Verdict {
  readonly attack: string;
  /** What the attacker was answered. */
  readonly status: string;
  /** Of an attack without load there are no times. */
  readonly bystanderP99Ms: number | null;
  readonly controlP99Ms: number | null;
  readonly ratio: number | null;
  /** Most that it had, and how much above its memory before. */
  readonly gatewayRssMiB: number | null;
  readonly gatewayGrowthMiB: number | null;
  readonly workerRestarts: number;
  readonly rounds: number;
  /** What is wrong; empty where nothing is. */
  readonly problems: readonly string[];
}

export interface Evidence {
  readonly attacked: readonly Round[];
  readonly control: readonly Round[];
  readonly beforeMiB: number;
  /** Parts of the stack that were started again, and how often. */
  readonly died: ReadonlyMap<string, number>;
}

/** Medians of the rounds, and what is wrong with them. */
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

/** Answers that were to come and have not, and those that were not to come. */
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
