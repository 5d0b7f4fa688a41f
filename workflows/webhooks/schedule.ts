const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/**
 * The wait before each attempt, in milliseconds: 11 attempts over three days, which outlasts a weekend. It is the schedule that
 * the Standard Webhooks specification gives as its example, and half a minute more, in which a receiver has restarted.
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

/** Share of a wait by which it may be longer, so that what failed together does not come back together. */
const JITTER = 0.1;

/** Longest wait that a target is granted by its `Retry-After`: the schedule's own longest. */
const LONGEST_MS = 24 * HOUR;

/** @param random from 0 to 1 */
export function waitMs(scheduledMs: number, askedMs: number | undefined, random: number): number {
  const jittered = Math.round(scheduledMs * (1 + JITTER * random));
  return Math.max(jittered, Math.min(askedMs ?? 0, LONGEST_MS));
}

/** Waits for room at a crowded target: 1 s, then twice as long each time, up to a minute. */
const CROWDED_MS = { first: SECOND, most: MINUTE };

export const crowdedMs = (times: number, random: number): number =>
  Math.round(Math.min(CROWDED_MS.first * 2 ** times, CROWDED_MS.most) * (0.5 + random / 2));
