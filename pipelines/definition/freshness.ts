import { type Duration, durationMs } from '../duration.js';
import type { ExactCachePlan } from '../plan/plan.js';
import { invalid } from './invalid.js';

export interface Freshness {
  /** `serve`: cache texts with words such as `today`, `latest` or `weather` too. Default `refuse`. */
  readonly timeWords?: 'refuse' | 'serve';
  /** Answers end with the day in this time zone (IANA name, `Europe/Berlin`), if not before. */
  readonly untilMidnight?: string;
}

interface Options {
  readonly ttl: Duration;
  readonly shared?: boolean;
  readonly freshness?: Freshness;
}

/** What the policies of all caches share: how long answers are served, and to whom. */
export function resolveFreshness(
  { ttl, shared, freshness }: Options,
  where: string,
): Pick<ExactCachePlan, 'ttlMs' | 'shared' | 'untilMidnight'> {
  if (freshness !== undefined) checkKeys(freshness, ['timeWords', 'untilMidnight'], `${where}.freshness`);
  const untilMidnight = freshness?.untilMidnight;
  if (untilMidnight !== undefined) checkZone(untilMidnight, where);
  return {
    ttlMs: durationMs(ttl, `${where}.ttl`),
    ...(shared === true && { shared: true as const }),
    ...(untilMidnight !== undefined && { untilMidnight }),
  };
}

function checkZone(zone: string, where: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
  } catch {
    throw invalid(`${where}.freshness.untilMidnight`, `must be an IANA time zone such as Europe/Berlin, not ${zone}`);
  }
}

/** Types refuse unknown keys; for JavaScript authors a misspelled one would be ignored silently. */
export function checkKeys(given: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`${where}.${unknown}`, `is not an option; known: ${known.join(', ')}`);
}
