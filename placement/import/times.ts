import { isoSeconds } from '../trace/index.js';

/** Parts of a second by the word that states a unit in a column's name. */
const UNITS: ReadonlyMap<string, number> = new Map<string, number>([
  ...['s', 'sec', 'secs', 'seconds'].map((word) => [word, 1] as const),
  ...['ms', 'msec', 'msecs', 'milli', 'millis', 'millisecond', 'milliseconds'].map((word) => [word, 1e3] as const),
  ...['us', 'usec', 'usecs', 'micro', 'micros', 'microsecond', 'microseconds'].map((word) => [word, 1e6] as const),
  ...['ns', 'nsec', 'nsecs', 'nano', 'nanos', 'nanosecond', 'nanoseconds'].map((word) => [word, 1e9] as const),
]);

/** Numbers above these are times since 1970 in such parts of a second: the least of them is in the year 2001. */
const SINCE_1970 = [
  { above: 1e18, parts: 1e9 },
  { above: 1e15, parts: 1e6 },
  { above: 1e12, parts: 1e3 },
] as const;

/**
 * The unit that a column's name states, as `arrived_at_ms`, `timeNs` or `Time (us)` do, in parts of a second; undefined: it states
 * none.
 */
export function unitOf(column: string): number | undefined {
  const spaced = column.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  const words = spaced.match(/[a-z]+/g) ?? [];
  return words.map((word) => UNITS.get(word)).findLast((parts) => parts !== undefined);
}

/**
 * Seconds of a time: ISO 8601, or a number in a unit of so many parts of a second. Without a unit it is in seconds, or since 1970 in
 * milliseconds, microseconds or nanoseconds, by its size. NaN: it is no time.
 */
export function secondsOf(text: string, parts?: number): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) return isoSeconds(text);
  return number / (parts ?? SINCE_1970.find(({ above }) => number > above)?.parts ?? 1);
}
