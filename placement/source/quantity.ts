import { z } from 'zod';

/** Quantities as written in a placement's files, and the planner's units. */

const MEMORY = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
/** Bytes per millisecond. */
const BANDWIDTH = { 'MB/s': 1e3, 'GB/s': 1e6, 'Mbit/s': 125, 'Gbit/s': 125e3 };
/** Milliseconds. */
const TIME = { us: 1e-3, ms: 1, s: 1e3 };

/** @param most more is a mistake, and the planner's numbers would lose their precision */
function quantity<U extends Record<string, number>>(
  units: U,
  what: string,
  example: string,
  least: 'zero' | 'above',
  most: string,
) {
  const form = new RegExp(
    `^\\s*(-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)\\s*(${Object.keys(units).sort(longestFirst).join('|')})\\s*$`,
  );
  const [, mostAmount, mostUnit = ''] = form.exec(most) ?? [];
  const limit = Number(mostAmount) * (units[mostUnit] ?? Number.NaN);
  const wanted = `${what} such as "${example}" (units: ${Object.keys(units).join(', ')})`;
  return z.union([z.string(), z.number()], { error: `give ${wanted}` }).transform((text, context) => {
    const [, amount, unit] = form.exec(String(text)) ?? [];
    // A bare number has the unit of size 1, if there is one: bytes.
    const value = typeof text === 'number' && 'B' in units ? text : Number(amount) * (units[unit ?? ''] ?? Number.NaN);
    const message = !Number.isFinite(value)
      ? `"${text}" is not ${wanted}`
      : value < 0 || (value === 0 && least === 'above')
        ? `${text} is ${value < 0 ? 'negative' : 'nothing'}: give ${wanted}`
        : value > limit
          ? `${text} is more than ${most}: give ${wanted}`
          : undefined;
    if (message !== undefined) context.addIssue({ code: 'custom', message });
    return message === undefined ? value : 0;
  });
}

const longestFirst = (a: string, b: string): number => b.length - a.length;

/** Some thousand times the largest devices. */
const MOST_MEMORY = '1000TiB';

/** Bytes, above 0: `80GiB`. */
export const memory = quantity(MEMORY, 'an amount of memory', '80GiB', 'above', MOST_MEMORY);
/** Bytes, 0 allowed. */
export const memoryOrNone = quantity(MEMORY, 'an amount of memory', '200MiB', 'zero', MOST_MEMORY);
/** Bytes per millisecond: `300GB/s`, `25Gbit/s`. */
export const bandwidth = quantity(BANDWIDTH, 'a bandwidth', '25Gbit/s', 'above', '1000000GB/s');
/** Milliseconds, 0 allowed: `50us`. */
export const latency = quantity(TIME, 'a time', '50us', 'zero', '60s');

/** Bytes in readable form: `1.5 GiB`. */
export function spellBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${units[power]}`;
}
