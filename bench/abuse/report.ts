import type { Verdict } from './verdict.js';

const COLUMNS = [
  ['attack', 36],
  ['p99 ms', 9],
  ['control', 9],
  ['ratio', 7],
  ['RSS MiB', 9],
  ['growth', 8],
  ['restarts', 9],
] as const;
const WIDTH = 100;

const row = (cells: readonly (string | number | null)[]): string =>
  COLUMNS.map(([, width], i) => {
    const text = String(cells[i] ?? '–');
    return i === 0 ? text.padEnd(width) : text.padStart(width);
  }).join('');

export const head = (): string => `${row(COLUMNS.map(([name]) => name))}\n`;

/** One attack: figures, answers and failures, in lines of 100 characters. */
export function lines(verdict: Verdict): string {
  const { attack, bystanderP99Ms, controlP99Ms, ratio, gatewayRssMiB, gatewayGrowthMiB, workerRestarts } = verdict;
  const figures = [attack, bystanderP99Ms, controlP99Ms, ratio, gatewayRssMiB, gatewayGrowthMiB, workerRestarts];
  const more = [verdict.status, ...verdict.problems.map((problem) => `! ${problem}`)];
  return `${[row(figures), ...more.map((text) => `  ${text}`.slice(0, WIDTH))].join('\n')}\n`;
}
