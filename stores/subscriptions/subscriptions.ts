import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { keySegment, reachedFor, script } from '../redis/index.js';

/** Each has its own attempts, in the history of the run's delivery. */
const MOST = 8;

/** A receiver that has subscribed to a run. */
export interface Subscription {
  /** Unique within the run and the owner. */
  readonly id: string;
  /** Who has subscribed: others neither see nor remove it. Absent: anybody of the tenant. */
  readonly owner?: string | undefined;
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
  remove(of: RunName, subscription: Pick<Subscription, 'id' | 'owner'>): Promise<void>;
  /** Removes all of a run. */
  erase(of: RunName): Promise<void>;
}

/** One hash for each run. It expires, since a run may end without its delivery. */
export class RedisSubscriptions implements Subscriptions {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async put(of: RunName, subscription: Subscription, keptMs: number, replaces = true): Promise<boolean> {
    const given = [nameOf(subscription), JSON.stringify(subscription), MOST, Math.ceil(keptMs)] as const;
    const written = await reached(() => put(this.#redis, [keyOf(of)], ...given, replaces ? 1 : 0));
    if (written !== 'full') return written === 'new';
    const message = `the run ${of.run} has ${MOST} subscriptions, which are the most`;
    throw new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'url', message }] });
  }

  async list(of: RunName): Promise<readonly Subscription[]> {
    const all = await reached(() => this.#redis.hgetall(keyOf(of)));
    const sorted = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, text]) => JSON.parse(text) as Subscription);
  }

  async remove(of: RunName, subscription: Pick<Subscription, 'id' | 'owner'>): Promise<void> {
    await reached(() => this.#redis.hdel(keyOf(of), nameOf(subscription)));
  }

  async erase(of: RunName): Promise<void> {
    await reached(() => this.#redis.del(keyOf(of)));
  }
}

/** The hash lives as long as its last subscription wants. */
const put = script<
  [key: string],
  [field: string, value: string, most: number, keptMs: number, replaces: 0 | 1],
  'new' | 'known' | 'full'
>(`
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if known and ARGV[5] == '0' then return 'known' end
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return known and 'known' or 'new'
`);

const keyOf = ({ tenant, run }: RunName): string => `millrace:subscriptions:{${keySegment(tenant)}}:${run}`;
/** Owners have no line breaks. */
const nameOf = ({ id, owner = '' }: Pick<Subscription, 'id' | 'owner'>): string => `${owner}\n${id}`;

const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('subscriptions', work);
