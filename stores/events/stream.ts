import type { RunEvent } from '../../pipelines/run/index.js';

/** The stream of a run's events, and the channel on which they are published. */
export const streamOf = (run: string): string => `millrace:events:{${run}}`;

/** When the events of a run were erased, by the store's clock. */
export const erasedOf = (run: string): string => `${streamOf(run)}:erased`;

/** Position before the first entry of a stream. */
export const START = '0-0';

/** Ids of Redis streams: milliseconds of the server's clock and a counter, in decimal. */
export const POSITION = /\d{1,19}-\d{1,19}/;

/** Whether a position comes after another. */
export function isBehind(position: string, other: string): boolean {
  const [ms = '', no = ''] = position.split('-');
  const [otherMs = '', otherNo = ''] = other.split('-');
  return ms === otherMs ? isGreater(no, otherNo) : isGreater(ms, otherMs);
}

/**
 * Compares two decimals of any length: they have more digits than a number can hold, and one arrives with each token.
 */
function isGreater(one: string, other: string): boolean {
  const [a, b] = [one, other].map((digits) => (digits.startsWith('0') ? digits.replace(/^0+(?=\d)/, '') : digits)) as [
    string,
    string,
  ];
  return a.length === b.length ? a > b : a.length > b.length;
}

/** A message of the channel that is not in the stream: it has no position. */
export const unstored = (text: string): string => ` ${text}`;

/** The only field of an entry. */
export const FIELD = 'e';

export const textOf = (event: RunEvent): string => JSON.stringify(event);
export const eventOf = (text: string | undefined): RunEvent => JSON.parse(text ?? 'null') as RunEvent;
