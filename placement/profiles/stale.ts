import type { FieldError } from '../../pipelines/errors.js';
import type { ReadProfile } from './read-profiles.js';
import type { Profile } from './schema.js';

const DAY_MS = 86_400_000;

/** Messages for profiles measured longer ago than `maxAgeMs`; a profile without a time has no age. */
export function tooOld(profiles: readonly ReadProfile[], now: Date, maxAgeMs: number): FieldError[] {
  return profiles.flatMap(({ value: { measuredAt, model }, at }): FieldError[] => {
    if (measuredAt === undefined) return [];
    const ageMs = now.getTime() - Date.parse(measuredAt);
    if (ageMs <= maxAgeMs) return [];
    const days = (ms: number) => `${Math.round((10 * ms) / DAY_MS) / 10} days`;
    const message = `"${model}" was measured ${days(ageMs)} ago, and ${days(maxAgeMs)} are allowed: profile it again, or allow more`;
    return [{ field: at(['measuredAt']), message }];
  });
}

/** Differences from a profile's fingerprint; empty: unchanged. Undefined: the profile has no fingerprint. */
export function changedSince(
  { fingerprint }: Profile,
  now: NonNullable<Profile['fingerprint']>,
): readonly string[] | undefined {
  if (fingerprint === undefined) return undefined;
  return (['model', 'server', 'device'] as const).flatMap((part) =>
    fingerprint[part] === now[part] ? [] : [`its ${part} was ${fingerprint[part]} and is ${now[part]}`],
  );
}
