import type { PlacementDocument } from '../document/index.js';

/** Lays out columns. */
export type Table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) => string;

/** Characters of a bar. */
const BAR = 10;

export const round = (value: number): number => Number(value.toFixed(value < 10 ? 1 : 0));
export const percent = (share: number): string => `${round(100 * share)} %`;
export const money = (value: number, { currency }: PlacementDocument): string =>
  `${value.toFixed(2)} ${currency} an hour`;

export function bar(share: number): string {
  const filled = Math.max(0, Math.min(BAR, Math.round(share * BAR)));
  return '█'.repeat(filled) + '░'.repeat(BAR - filled);
}

export const robustLine = ({ holds, p99Ms, shedShare }: PlacementDocument['robustness']['twiceTheRate']): string =>
  holds
    ? `holds: p99 ${round(p99Ms)} ms`
    : shedShare >= 1
      ? `does not hold: p99 ${round(p99Ms)} ms, and refusing runs does not help`
      : `does not hold: p99 ${round(p99Ms)} ms; refuse ${percent(shedShare)} of the runs to keep the objective`;

/** What one device more would do. */
export function nextEuro(placement: PlacementDocument): string {
  const { next, predicted } = placement;
  if (!next) return 'no device more lowers the 99th percentile';
  const price = money(next.pricePerHour, placement);
  return `one ${next.add} more for ${next.for} (${price}): p99 ${round(predicted.p99Ms)} -> ${round(next.p99Ms)} ms`;
}
