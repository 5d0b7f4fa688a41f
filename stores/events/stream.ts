import type { RunEvent } from '../../pipelines/run/index.js';

/** The stream of a run's events, and the channel on which each is told. */
export const streamOf = (run: string): string => `millrace:events:{${run}}`;

/** Position before the first entry of a stream. */
export const START = '0-0';

/** Ids of Redis streams: milliseconds of its clock and a number, in decimal. */
export const POSITION = /\d{1,19}-\d{1,19}/;

/** Whether a position comes after another. */
export function isBehind(position: string, other: string): boolean {
  const [ms = 0n, no = 0n] = position.split('-').map(BigInt);
  const [otherMs = 0n, otherNo = 0n] = other.split('-').map(BigInt);
  return ms === otherMs ? no > otherNo : ms > otherMs;
}

/** A message of the channel that is no entry of the stream: it has no position. */
export const toldOnly = (text: string): string => ` ${text}`;

/** An entry's one field. */
export const FIELD = 'e';

export const textOf = (event: RunEvent): string => JSON.stringify(event);
export const eventOf = (text: string | undefined): RunEvent => JSON.parse(text ?? 'null') as RunEvent;
