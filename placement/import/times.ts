import { isoSeconds } from '../trace/index.js';

/** Parts of a second by the words that state a unit in a column's name. */
const UNITS = [
  { words: /^(ms|msecs?|milli|millis.*)$/, parts: 1e3 },
  { words: /^(us|usecs?|micro|micros.*)$/, parts: 1e6 },
  { words: /^(ns|nsecs?|nano|nanos.*)$/, parts: 1e9 },
  { words: /^(s|secs?|seconds)$/, parts: 1 },
  { words: /^(mins?|minutes?)$/, parts: 1 / 60 },
  { words: /^(h|hrs?|hours?)$/, parts: 1 / 3_600 },
  { words: /^days$/, parts: 1 / 86_400 },
] as const;

/** Numbers above these are times since 1970 in such parts of a second: the least of them is in the year 2001. */
const SINCE_1970 = [
  { above: 1e18, parts: 1e9 },
  { above: 1e15, parts: 1e6 },
  { above: 1e12, parts: 1e3 },
] as const;

/**
 * The unit that a column's name states, as `arrived_at_ms`, `timeNs` or `Time (µs)` do, in parts of a second; undefined: it states
 * none. Of several the last part of a second counts, then seconds: `time_in_milli_seconds` is in milliseconds.
 */
export function unitOf(column: string): number | undefined {
  const spaced = column
    .replace(/[µμ]/g, 'u')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
  const found = (spaced.match(/[a-z]+/g) ?? []).flatMap(
    (word) => UNITS.find(({ words }) => words.test(word))?.parts ?? [],
  );
  return found.findLast((parts) => parts > 1) ?? found.find((parts) => parts === 1) ?? found.at(-1);
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
