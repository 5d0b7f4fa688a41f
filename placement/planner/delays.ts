import type { Candidate } from './candidate.js';
import type { Problem } from './problem.js';

/**
 * Delays to try, as shares of the longest: the short ones keep the calls of a batch together, which come milliseconds apart, and the
 * long ones gather calls.
 */
const SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1];

/** Delays of batches to try, ascending; none without a longest one. */
export const delaysUpTo = (longestMs: number | undefined): readonly number[] =>
  longestMs === undefined || longestMs <= 0 ? [] : SHARES.map((share) => share * longestMs);

/** Whether batches of a pool may wait to fill: those of more than one call, at servers that batch calls and not steps. */
export const mayWait = ({ pools, delaysMs }: Problem, pool: number): boolean =>
  delaysMs.length > 0 &&
  pools[pool]?.handsTo === undefined &&
  (pools[pool]?.configs ?? []).some(({ batching, maxBatch }) => batching === 'dynamic' && maxBatch > 1);

/** A candidate whose batches of one pool wait so long. */
export function withDelay({ pools }: Problem, candidate: Candidate, pool: number, ms: number): Candidate {
  const delaysMs = pools.map((_, p) => (p === pool ? ms : (candidate.delaysMs?.[p] ?? 0)));
  return { ...candidate, delaysMs };
}
