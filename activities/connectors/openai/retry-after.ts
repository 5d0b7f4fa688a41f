/** A server that asks for more than an hour is broken or means "never": the stage's own backoff is as good. */
const LONGEST_MS = 3_600_000;

/**
 * How long a server asks to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date
 * (RFC 9110, 10.2.3). `now`: ms since the epoch.
 */
export function retryAfterMs(headers: { get(name: string): string | null }, now: number): number | undefined {
  const ms = headers.get('retry-after-ms')?.trim();
  const after = headers.get('retry-after')?.trim();
  for (const wait of [
    ms ? Number(ms) : undefined,
    after ? (/^[\d.]+$/.test(after) ? Number(after) * 1_000 : Date.parse(after) - now) : undefined,
  ]) {
    if (wait !== undefined && Number.isFinite(wait)) return Math.min(Math.max(0, Math.round(wait)), LONGEST_MS);
  }
  return undefined;
}
