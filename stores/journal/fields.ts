import { END } from './scripts.js';

/** Prefix of a call's attempt counter. */
export const BEGUN = '#';
/** As `END`, by the clock of the worker that began the first attempt: workers of earlier releases read it. */
export const UNTIL = '^';

/** Milliseconds until the end of a segment, as scripts take them. */
export const endIn = (leftMs: number | undefined): number | '' => (leftMs === undefined ? '' : Math.round(leftMs));

/** Fields that say until when a call may be tried. @param until on the clock of `performance.now()` */
export function endFields(call: string, until: number): Readonly<Record<string, string>> {
  const leftMs = Math.ceil(until - performance.now());
  return Number.isFinite(leftMs)
    ? { [`${END}${call}`]: String(leftMs), [`${UNTIL}${call}`]: String(Date.now() + leftMs) }
    : {};
}
/** Prefix of a call's count of takeovers while it is in progress. */
export const UNDER_WAY = '~';
/** Prefix of the count of workers that reported after a takeover that they are alive. */
export const ALIVE = '!';

/** Fields that end a call's marks. */
export const unmarked = (call: string) => ({ [`${UNDER_WAY}${call}`]: '', [`${ALIVE}${call}`]: '' });
