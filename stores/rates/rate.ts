import { z } from 'zod';

/** Far above any pool or tenant; a larger number is a typing error. */
const MOST_PER_SECOND = 100_000;
/** An hour of one call an hour: slower than that is no rate. */
const LEAST_PER_SECOND = 1 / 3_600;

/** The fields of a rate in a file. */
export const rateFields = {
  /** Calls per second in the long run, whole or not: 0.5 is a call every two seconds. */
  perSecond: z.number().min(LEAST_PER_SECOND).max(MOST_PER_SECOND),
  /** Calls that may come at once. Default: a second's worth, at least one. */
  burst: z.int().min(1).max(MOST_PER_SECOND).optional(),
};

export interface Rate {
  readonly perSecond: number;
  readonly burst?: number | undefined;
}

/**
 * Longest window in seconds, a day: counts in a process are dropped by a timer, and one above 24.8 days fires at once,
 * which would be no limit. A burst of more than a day's calls is one of a day's calls.
 */
const LONGEST_WINDOW_S = 86_400;

/** `burst` calls in the longest whole number of seconds in which the rate gives no more than that. */
export function windowOf({ perSecond, burst }: Rate): { readonly points: number; readonly duration: number } {
  const atOnce = burst ?? Math.max(1, Math.floor(perSecond));
  const duration = Math.min(Math.max(1, Math.floor(atOnce / perSecond)), LONGEST_WINDOW_S);
  const points = Math.min(atOnce, Math.floor(perSecond * duration));
  // Below one call in that window: one call in the seconds that it takes.
  return points > 0 ? { points, duration } : { points: 1, duration: Math.ceil(1 / perSecond) };
}
