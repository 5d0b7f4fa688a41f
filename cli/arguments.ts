import { InvalidArgumentError } from 'commander';
import { durationMs } from '../pipelines/duration.js';

/** How the values of options are read. Each throws commander's `InvalidArgumentError`, which says what is wanted. */

export function asCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1_000) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}

export function asShare(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}

/** Milliseconds of `800ms`, `2s`, `30d`. */
export function asMs(text: string): number {
  try {
    return durationMs(text as `${number}ms`, 'time');
  } catch {
    throw new InvalidArgumentError('It must be a time such as 800ms, 2s or 1m.');
  }
}

/** A time as the gateway takes it: `2h` is two hours ago; whatever else is given is for the gateway to judge. */
export const asMoment = (text: string): string =>
  /^\d+(ms|s|m|h|d)$/.test(text) ? new Date(Date.now() - asMs(text)).toISOString() : text;

/** `<name>=<value>` of an option that may be repeated. */
export function asPairs(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give <name>=<value>.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
