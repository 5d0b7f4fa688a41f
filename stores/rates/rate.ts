import { z } from 'zod';

/** Far above any pool or tenant; a larger number is a typing error. */
const MOST_PER_SECOND = 100_000;
/** Lowest rate: one call an hour. */
const LEAST_PER_SECOND = 1 / 3_600;

/** The fields of a rate in a file. */
export const rateFields = {
  /** Average calls per second, possibly a fraction: 0.5 is a call every two seconds. */
  perSecond: z.number().min(LEAST_PER_SECOND).max(MOST_PER_SECOND),
  /** Calls that may arrive at once. Default: a second's worth, at least one. */
  burst: z.int().min(1).max(MOST_PER_SECOND).optional(),
};

export interface Rate {
  readonly perSecond: number;
  readonly burst?: number | undefined;
}

/**
 * Longest window in seconds, a day: counters in a process are dropped by a timer, and a timer above 24.8 days fires at
 * once, which would remove the limit. A burst above a day's calls is reduced to a day's calls.
 */
const LONGEST_WINDOW_S = 86_400;

/** `burst` calls in the largest whole number of seconds in which the rate allows no more than that. */
export function windowOf({ perSecond, burst }: Rate): { readonly points: number; readonly duration: number } {
  const atOnce = burst ?? Math.max(1, Math.floor(perSecond));
  const duration = Math.min(Math.max(1, Math.floor(atOnce / perSecond)), LONGEST_WINDOW_S);
  const points = Math.min(atOnce, Math.floor(perSecond * duration));
  // Less than one call in that window: one call in the time that one call takes at the rate.
  return points > 0 ? { points, duration } : { points: 1, duration: Math.ceil(1 / perSecond) };
}
