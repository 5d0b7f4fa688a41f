import { z } from 'zod';

/** First port of the first stack of a machine. */
export const BASE_PORT = 7400;

/** Shortest secret chosen by a person: 16 random bytes in hex. */
export const SHORTEST_SECRET = 32;

export const port = (about: string, fallback: number) =>
  z.coerce.number().int().min(1).max(65_535).default(fallback).describe(about);

/**
 * Longest duration of a setting, in milliseconds: two weeks. A timer holds 24.8 days and a longer one fires at once, so
 * that this leaves room for what is added to a duration: a margin, or the spread of an interval.
 */
const MOST_MS = 14 * 24 * 3_600_000;

/** How long a process waits. What others keep, such as a time to live in Redis, may be longer. */
export const ms = (about: string, fallback: number) =>
  z.coerce
    .number()
    .int()
    .positive()
    .max(MOST_MS, `must be at most ${MOST_MS}, which is two weeks`)
    .default(fallback)
    .describe(about);

export const bytes = (about: string, fallback: number) =>
  z.coerce.number().int().positive().default(fallback).describe(about);
export const list = (about: string, shortest = 1) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((s) => s.trim())
        .filter(Boolean),
    )
    .pipe(z.array(z.string().min(shortest)).min(1))
    .optional()
    .describe(about);

/** A web server. Its scheme is checked, since `gateway.internal:7400` is a URL too, with the scheme `gateway.internal:`. */
export const httpUrl = (about: string) =>
  z
    .url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' })
    .optional()
    .describe(about);

/** A Redis: a URL, host:port, or the path of its socket. Messages do not quote it, as it may have a password. */
export const redisUrl = (about: string) =>
  z
    .string()
    .refine(
      isRedisUrl,
      'must be redis://user:password@host:port/database, or rediss://… for TLS; in user and password % / ? # are written as %25 %2F %3F %23',
    )
    .optional()
    .describe(about);

/** What the client takes for a path or another host in place of rejecting it must not pass: logs would show a password. */
function isRedisUrl(text: string): boolean {
  if (/^\/(?!\/)/.test(text) || /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+(?:\/\d+)?)?$/i.test(text)) return true;
  if (!/^rediss?:\/\//i.test(text) || !URL.canParse(text)) return false;
  const { hostname, username, password, pathname, search, hash } = new URL(text);
  return (
    hostname !== '' &&
    /^\/?\d*$/.test(pathname) &&
    !search.includes('@') &&
    hash === '' &&
    [username, password].every(isDecodable)
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
