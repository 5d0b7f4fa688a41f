import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import { keySegment, reachedFor, script } from '../redis/index.js';

/** Raised when the stored format changes its meaning; what is stored in another format then is not found. */
const FORMAT = 3;

/** A tenant's limits over all its conversations and what is remembered of its users. 0: no limit. */
export interface SessionQuota {
  /** Of conversations and remembered users together. */
  readonly sessions: number;
  /** Of messages, summaries and facts as JSON, in bytes. */
  readonly bytes: number;
}

export const UNLIMITED: SessionQuota = { sessions: 0, bytes: 0 };

/** Of a conversation, or of a user: a list, a hash about it, and the tenant's entries by their expiry and their bytes. */
export type Keys = readonly [parts: string, about: string, expiries: string, bytes: string];

/** Most of what a tenant keeps that is reached. */
export type Refusal = 'sessions' | 'bytes';

/**
 * Removes some expired entries of the tenant, then checks their number. KEYS of every script are `Keys`; ARGV begins with the own name, the
 * most entries and the most bytes.
 */
export const USE = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local total = tonumber(redis.call('HGET', KEYS[4], '@total') or '0')
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
  total = total - tonumber(redis.call('HGET', KEYS[4], name) or '0')
  redis.call('HDEL', KEYS[4], name)
  redis.call('ZREM', KEYS[3], name)
  redis.call('HSET', KEYS[4], '@total', total)
end
local most, mostBytes = tonumber(ARGV[2]), tonumber(ARGV[3])
if most > 0 and not redis.call('ZSCORE', KEYS[3], ARGV[1]) and redis.call('ZCARD', KEYS[3]) >= most then
  return 'sessions'
end`;

export const limits = ({ sessions, bytes }: SessionQuota): [sessions: number, bytes: number] => [sessions, bytes];

/** Removes first: a store that is full takes no script whose first write may need memory. */
const eraseAll = script<Keys, [own: string], 0 | 1>(`
local bytes = tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0')
local gone = redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if bytes ~= 0 then redis.call('HINCRBY', KEYS[4], '@total', -bytes) end
return gone > 0 and 1 or 0
`);

/** Removes an entry, and what it counts against the quota; false if there is none. */
export const erase = async (redis: Redis, keys: Keys, own: string): Promise<boolean> =>
  (await eraseAll(redis, keys, own)) === 1;

export function exceeded(quota: SessionQuota, what: Refusal, tenant: string): MillraceError {
  const [most, setting] =
    what === 'sessions' ? [quota.sessions, 'MILLRACE_TENANT_SESSIONS'] : [quota.bytes, 'MILLRACE_TENANT_SESSION_BYTES'];
  const message = `the conversations of tenant "${tenant}" have reached their limit of ${most} ${what} (${setting})`;
  return new MillraceError('QUOTA_EXCEEDED', message, { fields: [{ field: 'session', message }] });
}

/**
 * The braces put all entries of a tenant into one slot of a Redis Cluster, because a script that writes one also updates the quota of all.
 * @param own name of the entry within the tenant
 */
export function keysIn(tenant: string, own: string): { keys: Keys; own: string } {
  const ofTenant = `millrace:session:{${keySegment(tenant)}}:${FORMAT}`;
  const prefix = `${ofTenant}:${own}`;
  return { keys: [`${prefix}:parts`, `${prefix}:about`, `${ofTenant}::expiries`, `${ofTenant}::bytes`], own };
}

/** Throws `STORE_UNAVAILABLE` and `STATE_STORE_FULL`. */
export const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('sessions', work, true);
