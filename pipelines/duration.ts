import { MillraceError } from './errors.js';

/** A length of time as authors write it: `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a duration. Throws `INVALID_PIPELINE` naming `field` when it is not a positive length of time. */
export function durationMs(duration: Duration, field: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? [];
  const value = typeof duration === 'number' ? duration : Number(amount) * UNITS[unit as keyof typeof UNITS];
  if (!Number.isFinite(value) || value <= 0) {
    throw new MillraceError(
      'INVALID_PIPELINE',
      `${field}: "${duration}" is not a duration such as "250ms", "30s" or "5m"`,
      {
        fields: [{ field, message: 'not a positive duration' }],
      },
    );
  }
  return Math.round(value);
}
