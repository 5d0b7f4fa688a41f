const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * The wait before each attempt, in milliseconds: 11 attempts over three days, which outlasts a weekend. It is the
 * example schedule of the Standard Webhooks specification plus half a minute, in which a receiver can restart.
 */
export const SCHEDULE_MS: readonly number[] = [
  0,
  5 * SECOND,
  30 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];

/** Maximum share added to a wait, so that deliveries that failed together are not retried together. */
const JITTER = 0.1;

/** Maximum wait that a target can request by `Retry-After`: the longest of the schedule. */
const LONGEST_MS = 24 * HOUR;

/** @param random from 0 to 1 */
export function waitMs(scheduledMs: number, requestedMs: number | undefined, random: number): number {
  const jittered = Math.round(scheduledMs * (1 + JITTER * random));
  return Math.max(jittered, Math.min(requestedMs ?? 0, LONGEST_MS));
}

/** Waits for capacity at a crowded target: 1 s, doubled each time, up to a minute. */
const CROWDED_MS = { first: SECOND, most: MINUTE };

export const crowdedMs = (times: number, random: number): number =>
  Math.round(Math.min(CROWDED_MS.first * 2 ** times, CROWDED_MS.most) * (0.5 + random / 2));

/** Waits of a run that are told. One that waits more often asks nobody any more. */
export const MOST_WAITS = 500;

/**
 * Attempts of all waits of a run together. Each takes up to eight events, and a told wait four; Temporal ends a history of more than
 * 51,200 events, and the end of the run must still be told.
 */
export const MOST_WAIT_ATTEMPTS = 4_000;

/** Waits that a child run tells the delivery of the run above at most, with those of its own child runs. */
export const MOST_WAITS_OF_CHILD = 100;

/** Waits that all child runs together tell the delivery. It sends no more than `MOST_WAITS`, but its history has a signal for each. */
export const MOST_WAITS_OF_CHILDREN = 1_000;

/** Maximum size of a told wait, in bytes: larger ones are shortened. The history has it once for each attempt, and Temporal ends one of more than 50 MiB. */
export const MOST_TOLD_BYTES = 6_000;
