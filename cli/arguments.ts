import { InvalidArgumentError } from 'commander';
import { durationMs } from '../pipelines/duration.js';
// Alone: the protocol’s other files load gRPC, which each command would wait for.
import { lostInteger } from '../protocols/open-inference/exact-json.js';

/** Parsers of option values, which throw commander's `InvalidArgumentError` with the expected form, and of the command line. */

export function asCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1_000) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}

/** A leading zero, as of an hour by `date +%H`, is allowed. */
export function asWhole(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number such as 7, at most 999.');
}

export function asPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('It must be a port, from 0 to 65535.');
}

export function asShare(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}

/** Parses a duration such as `800ms`, `2s`, `30d` to milliseconds. */
export function asMs(text: string): number {
  try {
    return durationMs(text as `${number}ms`, 'time');
  } catch {
    throw new InvalidArgumentError('It must be a time such as 800ms, 2s, 1m or 30d.');
  }
}

/** A point in time for the gateway: `2h` becomes the time two hours ago; other values are passed on for the gateway to validate. */
export const asMoment = (text: string): string =>
  /^\d+(ms|s|m|h|d)$/.test(text) ? new Date(Date.now() - asMs(text)).toISOString() : text;

/** Parses `<name>=<value>` of an option that may be repeated. */
export function asPairs(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be <name>=<value>.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** What is wrong with an integer that a number does not hold. */
export const TOO_LONG = 'is an integer of more digits than a number holds (above 2^53); send it as a text';

/** Parses a JSON object. Refuses an integer that a number does not hold: another one would be sent. */
export function asObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Refused below, as what is no object.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidArgumentError('It must be a JSON object, e.g. \'{"question":"Why?"}\'.');
  const lost = lostInteger(value, text);
  if (lost) throw new InvalidArgumentError(`${lost.join('.')} ${TOO_LONG}.`);
  return value;
}

/** Parses names separated by commas. */
export function asList(text: string): readonly string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length > 0) return names;
  throw new InvalidArgumentError('It must name at least one.');
}

/** A name of an option that may be repeated. */
export const asNames = (text: string, before: readonly string[]): readonly string[] => [...before, text];

/**
 * Whether a command line is `millrace --version`. An option of the program would also be taken from `millrace runs`, which has a `--version`
 * of its own: that of a plan.
 * @param argv as Node has it, with the paths of Node and of the program
 */
export const asksForRelease = (argv: readonly string[]): boolean => argv.length === 3 && argv[2] === '--version';
