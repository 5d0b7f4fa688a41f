import type { Json } from '../../pipelines/json.js';

/**
 * When the day ends that an answer belongs to whose call begins at `now`, in milliseconds since 1970. Infinite if answers do not end
 * with the day; `now`, so that none is kept, in a time zone that this process does not know: plans are not checked for that. Does not throw.
 */
export function dayEndOf(zone: string | undefined, now = Date.now()): number {
  if (zone === undefined) return Number.POSITIVE_INFINITY;
  try {
    return now + untilMidnight(zone, now);
  } catch (error) {
    if (error instanceof RangeError) return now;
    throw error;
  }
}

/**
 * How long an answer that is stored at `now` may be served, in milliseconds; 0 or less: not at all.
 *
 * @param dayEnds as `dayEndOf` the beginning of its call: an answer of yesterday must not be served today
 */
export const ttlOf = (ttlMs: number, dayEnds: number, now = Date.now()): number => Math.min(ttlMs, dayEnds - now);

const DAY_MS = 86_400_000;

/** Milliseconds from `now` to the next midnight in a time zone, at most 25 hours (a day on which clocks go back). */
export function untilMidnight(zone: string, now = Date.now()): number {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    day: '2-digit',
  });
  const dayOf = (at: number) => parts.formatToParts(at).find(({ type }) => type === 'day')?.value;
  const today = dayOf(now);
  let [same, other] = [now, now + DAY_MS + 3_600_000];
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (dayOf(middle) === today) same = middle;
    else other = middle;
  }
  return other - now;
}

/** Whether the inputs beside the key hold a conversation: a list of messages with roles. */
export function hasHistory(context: Json, depth = 4): boolean {
  if (context === null || typeof context !== 'object' || depth === 0) return false;
  const values: readonly Json[] = Array.isArray(context) ? context : (Object.values(context) as Json[]);
  if (Array.isArray(context) && context.some((each) => isMessage(each))) return true;
  return values.some((value) => hasHistory(value, depth - 1));
}

const isMessage = (value: Json): boolean =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && 'role' in value && value.role !== 'system';
