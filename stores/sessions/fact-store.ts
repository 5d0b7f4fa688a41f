import type { Redis } from 'ioredis';
import { keySegment, script } from '../redis/index.js';
import {
  erase,
  exceeded,
  type Keys,
  keysIn,
  limits,
  type Refusal,
  reached,
  type SessionQuota,
  UNLIMITED,
  USE,
} from './quota.js';

/** Whom facts are about. */
export interface FactsName {
  readonly tenant: string;
  /** The pipeline and the owner that they belong to. */
  readonly of: string;
  readonly user: string;
}

export interface Fact {
  /** Counted from 1 for each user; never used again while anything is remembered of the user. */
  readonly id: number;
  readonly text: string;
  /** When it was added, in milliseconds since 1970. */
  readonly at: number;
}

export interface NewFact {
  /** Identical in every attempt, so that a fact is added once. */
  readonly key: string;
  readonly text: string;
  /** Most facts of the user, this one included. */
  readonly most: number;
  readonly ttlMs: number;
}

/**
 * Facts about users in Redis, by tenant, pipeline and owner: a list with one entry per fact, and a hash with the number that was given last.
 * They count against the tenant's quota of sessions. Every write is one script: concurrent runs lose nothing.
 */
export class FactStore {
  readonly #redis: Redis;
  readonly #quota: SessionQuota;

  constructor(redis: Redis, quota: SessionQuota = UNLIMITED) {
    this.#redis = redis;
    this.#quota = quota;
  }

  /** Oldest first. Throws `STORE_UNAVAILABLE`. */
  async list(name: FactsName): Promise<readonly Fact[]> {
    const [parts] = keysOf(name).keys;
    const all = await reached(() => this.#redis.lrange(parts, 0, -1));
    return all.map((entry) => {
      const { id, text, at } = JSON.parse(entry) as Fact;
      return { id, text, at };
    });
  }

  /**
   * Adds a fact and returns its number; that of an equal fact if there is one. Undefined if the user has the most facts already. Throws
   * `STORE_UNAVAILABLE`, `STATE_STORE_FULL` and `QUOTA_EXCEEDED`.
   */
  async add(name: FactsName, { key, text, most, ttlMs }: NewFact): Promise<number | undefined> {
    const { keys, own } = keysOf(name);
    const added = await reached(() => add(this.#redis, keys, own, ...limits(this.#quota), key, text, most, ttlMs));
    if (added === 'facts') return undefined;
    if (typeof added === 'string') throw exceeded(this.#quota, added, name.tenant);
    return added;
  }

  /** Removes a fact; false if there is none with the number. Throws `STORE_UNAVAILABLE`. */
  async remove(name: FactsName, id: number): Promise<boolean> {
    const { keys, own } = keysOf(name);
    return (await reached(() => remove(this.#redis, keys, own, id))) === 1;
  }

  /** Removes all that is remembered of a user; false if that is nothing. Throws `STORE_UNAVAILABLE`. */
  async erase(name: FactsName): Promise<boolean> {
    const { keys, own } = keysOf(name);
    return await reached(() => erase(this.#redis, keys, own));
  }
}

/** An entry with the same key was written by an attempt whose worker died afterwards. */
const add = script<
  Keys,
  [own: string, mostSessions: number, mostBytes: number, key: string, text: string, most: number, ttlMs: number],
  Refusal | 'facts' | number
>(`
local all = redis.call('LRANGE', KEYS[1], 0, -1)
for _, entry in ipairs(all) do
  local fact = cjson.decode(entry)
  if fact.key == ARGV[4] or fact.text == ARGV[5] then return fact.id end
end
if #all >= tonumber(ARGV[6]) then return 'facts' end
${USE}
local id = tonumber(redis.call('HGET', KEYS[2], 'last') or '0') + 1
local entry = cjson.encode({id = id, key = ARGV[4], text = ARGV[5], at = now})
local before = tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0')
if mostBytes > 0 and total + #entry > mostBytes then return 'bytes' end
redis.call('RPUSH', KEYS[1], entry)
redis.call('HSET', KEYS[2], 'last', id)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
redis.call('ZADD', KEYS[3], now + ARGV[7], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], before + #entry, '@total', total + #entry)
return id
`);

/** The number given last stays: a run that has read the removed fact must not remove another one by its number. */
const remove = script<Keys, [own: string, id: number], 0 | 1>(`
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if cjson.decode(entry).id == tonumber(ARGV[2]) then
    redis.call('LREM', KEYS[1], 1, entry)
    if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
      redis.call('HINCRBY', KEYS[4], ARGV[1], -#entry)
      redis.call('HINCRBY', KEYS[4], '@total', -#entry)
    end
    return 1
  end
end
return 0
`);

/** The name of a conversation is not empty: none has the two colons. */
const keysOf = ({ tenant, of, user }: FactsName) => keysIn(tenant, `${keySegment(of)}::${keySegment(user)}`);
