import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { keySegment, reachedFor, script } from '../redis/index.js';

/** Of one owner: what it adds takes no place from the others. */
const MOST = 8;
/**
 * Of a run. Each has its own attempts, in the history of the run's delivery: eleven with an event of at most 32 KiB, which are 23 MB of the
 * 50 MB that Temporal allows.
 */
const MOST_OF_RUN = 64;
/** Of a tenant, so that they do not fill the state store: each has up to some KB, and is kept for days if its receiver fails. */
const MOST_OF_TENANT = 10_000;

/** A receiver that has subscribed to a run. */
export interface Subscription {
  /** Unique within the run and the owner. */
  readonly id: string;
  /** Who has subscribed: others neither see nor remove it. Absent: anybody of the tenant. */
  readonly owner?: string | undefined;
  /** Unique for the request that has added it: if that is refused later, it takes back this one and no other. */
  readonly request: string;
  readonly url: string;
  /** Whether it is told of waits too; otherwise only of the run's end. */
  readonly waits: boolean;
  /** What its door needs to write a notification, with the receiver's credentials. */
  readonly about: JsonObject;
}

interface RunName {
  readonly tenant: string;
  readonly run: string;
}

/** Subscriptions to runs. All methods throw `STORE_UNAVAILABLE`. */
export interface Subscriptions {
  /**
   * Adds a subscription; false if its owner has one of the same id, which it replaces, unless `replaces` is false. Throws
   * `STATE_STORE_FULL`, `INVALID_INPUT` for one too many of the run, and `QUOTA_EXCEEDED` for one too many of the tenant.
   */
  put(of: RunName, subscription: Subscription, keptMs: number, replaces?: boolean): Promise<boolean>;
  /** All of a run, in order of their owners and ids. */
  list(of: RunName): Promise<readonly Subscription[]>;
  /** Removes the one of this owner and id, whichever request has added it. */
  remove(of: RunName, subscription: Pick<Subscription, 'id' | 'owner'>): Promise<void>;
  /** Removes a subscription that `put` has added, unless another request has replaced it since. */
  takeBack(of: RunName, subscription: Subscription): Promise<void>;
  /** Removes all of a run. */
  erase(of: RunName): Promise<void>;
}

/**
 * One hash for each run. It expires, since a run may end without its delivery. Beside it a tenant's subscriptions to all runs, by when their
 * hashes expire: they are counted by that, so none that has expired counts.
 */
export class RedisSubscriptions implements Subscriptions {
  readonly #redis: Redis;
  readonly #mostOfTenant: number;

  constructor(redis: Redis, mostOfTenant = MOST_OF_TENANT) {
    this.#redis = redis;
    this.#mostOfTenant = mostOfTenant;
  }

  async put(of: RunName, subscription: Subscription, keptMs: number, replaces = true): Promise<boolean> {
    const given = [nameOf(subscription), JSON.stringify(subscription), Math.ceil(keptMs), replaces ? 1 : 0] as const;
    const limits = [MOST, MOST_OF_RUN, this.#mostOfTenant] as const;
    const written = await reached(() =>
      put(this.#redis, keysOf(of), of.run, ...given, ownerPrefix(subscription), ...limits),
    );
    if (written === 'new' || written === 'known') return written === 'new';
    if (written === 'tenant-full') throw exceeded(of.tenant, this.#mostOfTenant);
    const most = written === 'owner-full' ? `${MOST} subscriptions of yours` : `${MOST_OF_RUN} subscriptions`;
    const message = `the run ${of.run} has ${most}, which are the most`;
    throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'url', message }] });
  }

  async list(of: RunName): Promise<readonly Subscription[]> {
    const all = await reached(() => this.#redis.hgetall(keyOf(of)));
    const sorted = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, text]) => JSON.parse(text) as Subscription);
  }

  async remove(of: RunName, subscription: Pick<Subscription, 'id' | 'owner'>): Promise<void> {
    await reached(() => remove(this.#redis, keysOf(of), of.run, nameOf(subscription)));
  }

  async takeBack(of: RunName, subscription: Subscription): Promise<void> {
    const text = JSON.stringify(subscription);
    await reached(() => takeBack(this.#redis, keysOf(of), of.run, nameOf(subscription), text));
  }

  async erase(of: RunName): Promise<void> {
    await reached(() => erase(this.#redis, keysOf(of), of.run));
  }
}

function exceeded(tenant: string, most: number): MillraceError {
  const message = `tenant "${tenant}" has ${most} subscriptions to runs, which are the most; they go when their runs have ended and their receivers have been told, or are removed`;
  return new MillraceError('QUOTA_EXCEEDED', message, { fields: [{ field: 'url', message }] });
}

/** The subscriptions to a run, and those of the tenant by their expiry: members are a run and a field of its hash. */
type Keys = readonly [hash: string, expiries: string];

/**
 * The hash lives as long as its last subscription wants. It is written first: a store that is full refuses a script whose first write needs memory,
 * but not one whose first write removes something.
 */
const put = script<
  Keys,
  [
    run: string,
    field: string,
    value: string,
    keptMs: number,
    replaces: 0 | 1,
    owner: string,
    most: number,
    mostOfRun: number,
    mostOfTenant: number,
  ],
  'new' | 'known' | 'owner-full' | 'full' | 'tenant-full'
>(`
local known = redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1
if known and ARGV[5] == '0' then return 'known' end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if not known then
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[8]) then return 'full' end
  local own = 0
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, string.len(ARGV[6])) == ARGV[6] then own = own + 1 end
  end
  if own >= tonumber(ARGV[7]) then return 'owner-full' end
  if redis.call('ZCOUNT', KEYS[2], now, '+inf') >= tonumber(ARGV[9]) then return 'tenant-full' end
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
local left = redis.call('PTTL', KEYS[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  redis.call('ZADD', KEYS[2], now + left, ARGV[1] .. '\\n' .. field)
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('PTTL', KEYS[2]) < left then redis.call('PEXPIRE', KEYS[2], left) end
return known and 'known' or 'new'
`);

const remove = script<Keys, [run: string, field: string], number>(`
redis.call('ZREM', KEYS[2], ARGV[1] .. '\\n' .. ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[2])
`);

/** The texts of two requests differ. */
const takeBack = script<Keys, [run: string, field: string, value: string], number>(`
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1] .. '\\n' .. ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[2])
`);

const erase = script<Keys, [run: string], number>(`
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  redis.call('ZREM', KEYS[2], ARGV[1] .. '\\n' .. field)
end
return redis.call('DEL', KEYS[1])
`);

/** The braces put all of a tenant into one slot of a Redis Cluster, because a script that writes to a run counts those to all runs. */
const ofTenant = (tenant: string): string => `millrace:subscriptions:{${keySegment(tenant)}}`;
const keyOf = ({ tenant, run }: RunName): string => `${ofTenant(tenant)}:${run}`;
/** No run has a name that begins with a colon. */
const keysOf = (of: RunName): Keys => [keyOf(of), `${ofTenant(of.tenant)}::expiries`];
/** Owners have no line breaks. */
const ownerPrefix = ({ owner = '' }: Pick<Subscription, 'owner'>): string => `${owner}\n`;
const nameOf = (of: Pick<Subscription, 'id' | 'owner'>): string => `${ownerPrefix(of)}${of.id}`;

const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('subscriptions', work);
