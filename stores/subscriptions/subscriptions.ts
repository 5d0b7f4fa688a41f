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
   * `STATE_STORE_FULL`, and `INVALID_INPUT` for one too many.
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

/** One hash for each run, in the run’s slot of a Redis Cluster. It expires, since a run may end without its delivery. */
export class RedisSubscriptions implements Subscriptions {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async put(of: RunName, subscription: Subscription, keptMs: number, replaces = true): Promise<boolean> {
    const given = [nameOf(subscription), JSON.stringify(subscription), Math.ceil(keptMs), replaces ? 1 : 0] as const;
    const written = await reached(() =>
      put(this.#redis, [keyOf(of)], ...given, ownerPrefix(subscription), MOST, MOST_OF_RUN),
    );
    if (written === 'new' || written === 'known') return written === 'new';
    const most = written === 'owner-full' ? `${MOST} subscriptions of yours` : `${MOST_OF_RUN} subscriptions`;
    const message = `the run ${of.run} has ${most}, which are the most`;
    throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'url', message }] });
  }

  async list(of: RunName): Promise<readonly Subscription[]> {
    const read = (key: string) => this.#redis.hgetall(key);
    const [all, former] = await reached(() => Promise.all([read(keyOf(of)), read(formerKeyOf(of))]));
    const sorted = Object.entries({ ...former, ...all }).sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, text]) => JSON.parse(text) as Subscription);
  }

  async remove(of: RunName, subscription: Pick<Subscription, 'id' | 'owner'>): Promise<void> {
    const keys = [keyOf(of), formerKeyOf(of)];
    await reached(() => Promise.all(keys.map((key) => this.#redis.hdel(key, nameOf(subscription)))));
  }

  async takeBack(of: RunName, subscription: Subscription): Promise<void> {
    const text = JSON.stringify(subscription);
    await reached(() => takeBack(this.#redis, [keyOf(of)], nameOf(subscription), text));
  }

  async erase(of: RunName): Promise<void> {
    await reached(() => Promise.all([keyOf(of), formerKeyOf(of)].map((key) => this.#redis.del(key))));
  }
}

/** The hash lives as long as its last subscription wants. */
const put = script<
  [key: string],
  [field: string, value: string, keptMs: number, replaces: 0 | 1, owner: string, most: number, mostOfRun: number],
  'new' | 'known' | 'owner-full' | 'full'
>(`
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if known and ARGV[4] == '0' then return 'known' end
if not known then
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then return 'full' end
  local own = 0
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, string.len(ARGV[5])) == ARGV[5] then own = own + 1 end
  end
  if own >= tonumber(ARGV[6]) then return 'owner-full' end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return known and 'known' or 'new'
`);

/** The texts of two requests differ. */
const takeBack = script<[key: string], [field: string, value: string], number>(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
`);

const keyOf = ({ tenant, run }: RunName): string => `millrace:subscriptions:{${run}}:${keySegment(tenant)}`;
/** That of releases up to 0.3, which have subscribed to runs that are under way during an update. */
const formerKeyOf = ({ tenant, run }: RunName): string => `millrace:subscriptions:{${keySegment(tenant)}}:${run}`;
/** Owners have no line breaks. */
const ownerPrefix = ({ owner = '' }: Pick<Subscription, 'owner'>): string => `${owner}\n`;
const nameOf = (of: Pick<Subscription, 'id' | 'owner'>): string => `${ownerPrefix(of)}${of.id}`;

const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('subscriptions', work);
