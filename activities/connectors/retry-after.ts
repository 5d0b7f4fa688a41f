/** A longer wait is a server's mistake or means "never": it counts as this one. */
const LONGEST_MS = 3_600_000;

/**
 * The wait that a server requests, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date
 * (RFC 9110, 10.2.3). `now`: ms since the epoch.
 */
export function retryAfterMs(headers: { get(name: string): string | null }, now: number): number | undefined {
  const wait = number(headers.get('retry-after-ms'), 1) ?? after(headers.get('retry-after')?.trim() ?? '', now);
  return wait === undefined ? undefined : Math.min(Math.max(0, Math.round(wait)), LONGEST_MS);
}

function after(value: string, now: number): number | undefined {
  if (!value.endsWith('GMT')) return number(value, 1_000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : date - now;
}

const number = (value: string | null, unitMs: number): number | undefined =>
  value !== null && /^\d+(\.\d+)?$/.test(value) ? Number(value) * unitMs : undefined;
