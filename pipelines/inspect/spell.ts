const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** Milliseconds in authors' notation, to two decimals: `5m`, `1.5s`, `250ms`. */
export function spell(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? ['ms', 1];
  return `${Number((ms / size).toFixed(2))}${unit}`;
}
