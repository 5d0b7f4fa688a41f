import { MillraceError } from './errors.js';

/** A length of time as authors write it: `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const FORMATS = "'500ms', '30s', '5m', '2h' or '1d', or a number of milliseconds above 0";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Maximum duration of a Node timer in milliseconds, 24.8 days (2^31 - 1); a longer one fires immediately. It bounds
 * every duration for which a process itself waits; deadlines, total timeouts and times to live are kept by Temporal and
 * Redis, and may be longer.
 */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Like `durationMs`, for the timer of a process: also throws if it is longer than 24.8 days. */
export function timerMs(duration: Duration, field: string): number {
  const ms = durationMs(duration, field);
  if (ms <= LONGEST_TIMER_MS) return ms;
  throw new MillraceError(
    'INVALID_PIPELINE',
    `${field}: "${duration}" is longer than the 24 days that a process can wait`,
    {
      fields: [{ field, message: 'longer than 24 days' }],
    },
  );
}

/** Milliseconds of a duration. Throws `INVALID_PIPELINE` naming `field` if it is not a positive duration. */
export function durationMs(duration: Duration, field: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? [];
  const value = typeof duration === 'number' ? duration : Number(amount) * UNITS[unit as keyof typeof UNITS];
  if (!Number.isFinite(value) || value <= 0) {
    const message = `is ${JSON.stringify(duration) ?? String(duration)}, which is not a duration; write ${FORMATS}`;
    throw new MillraceError('INVALID_PIPELINE', `"${field}" ${message}`, { fields: [{ field, message }] });
  }
  return Math.round(value);
}
