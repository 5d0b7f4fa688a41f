import type { Json } from '../../pipelines/json.js';

interface Limits {
  readonly ttlMs: number;
  readonly untilMidnight?: string | undefined;
}

/** How long an answer stored now may be served, in milliseconds. */
export const ttlOf = ({ ttlMs, untilMidnight: zone }: Limits): number =>
  zone === undefined ? ttlMs : Math.min(ttlMs, untilMidnight(zone));

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
