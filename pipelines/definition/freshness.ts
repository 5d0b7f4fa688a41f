import { z } from 'zod';
import { type Duration, durationMs } from '../duration.js';
import type { ExactCachePlan } from '../plan/plan.js';
import { misfit } from './fits.js';
import { invalid } from './invalid.js';
import { type Assignable, toBinding } from './reference.js';
import type { GraphScope } from './scope.js';

export interface Freshness {
  /** `serve`: cache texts with words such as `today`, `latest` or `weather` too. Default `refuse`. */
  readonly timeWords?: 'refuse' | 'serve';
  /** Answers end with the day in this time zone (IANA name, `Europe/Berlin`), if not before. */
  readonly untilMidnight?: string;
  /**
   * Version of what answers are made from, such as that of a catalogue: a text or a number from the input or from an earlier stage. Answers
   * made from another version are not served; a missing value is a version too.
   */
  readonly version?: Assignable<string | number | null | undefined>;
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
  scope: GraphScope,
): Pick<ExactCachePlan, 'ttlMs' | 'shared' | 'untilMidnight' | 'version'> {
  if (freshness !== undefined) checkKeys(freshness, ['timeWords', 'untilMidnight', 'version'], `${where}.freshness`);
  const { untilMidnight, version } = freshness ?? {};
  if (untilMidnight !== undefined) checkZone(untilMidnight, where);
  const wrong = version === undefined ? undefined : misfit(version, VERSION);
  if (wrong) throw invalid(`${where}.freshness.version`, `${wrong.why}: it must be a text or a number`);
  return {
    ttlMs: durationMs(ttl, `${where}.ttl`),
    ...(shared === true && { shared: true as const }),
    ...(untilMidnight !== undefined && { untilMidnight }),
    ...(version !== undefined && { version: toBinding(version, `${where}.freshness.version`, scope) }),
  };
}

const VERSION = z.union([z.string(), z.number()]).nullish();

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
