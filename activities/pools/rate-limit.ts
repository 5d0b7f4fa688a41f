import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';

/** Far above any pool; a larger number is a typing error. */
const MOST_PER_SECOND = 100_000;
/** An hour of one call an hour: slower than that is no rate. */
const LEAST_PER_SECOND = 1 / 3_600;

const rate = {
  /** Calls per second in the long run, whole or not: 0.5 is a call every two seconds. */
  perSecond: z.number().min(LEAST_PER_SECOND).max(MOST_PER_SECOND),
  /** Calls that may come at once. Default: a second's worth, at least one. */
  burst: z.int().min(1).max(MOST_PER_SECOND).optional(),
};

/** `rateLimit` of a pool in the models file: for all its callers together, and for each tenant. */
export const rateLimitSchema = z.strictObject({ ...rate, perTenant: z.strictObject(rate).optional() });

export type RateLimitConfig = z.output<typeof rateLimitSchema>;
type Rate = Pick<RateLimitConfig, 'perSecond' | 'burst'>;

/**
 * Longest window in seconds, a day: counts in a process are dropped by a timer, and one above 24.8 days fires at once,
 * which would be no limit. A burst of more than a day's calls is one of a day's calls.
 */
const LONGEST_WINDOW_S = 86_400;

/** `burst` calls in the longest whole number of seconds in which the rate gives no more than that. */
export function windowOf({ perSecond, burst }: Rate): { readonly points: number; readonly duration: number } {
  const atOnce = burst ?? Math.max(1, Math.floor(perSecond));
  const duration = Math.min(Math.max(1, Math.floor(atOnce / perSecond)), LONGEST_WINDOW_S);
  const points = Math.min(atOnce, Math.floor(perSecond * duration));
  // Below one call in that window: one call in the seconds that it takes.
  return points > 0 ? { points, duration } : { points: 1, duration: Math.ceil(1 / perSecond) };
}

/**
 * Limits the calls of a pool over all workers that share a Redis, by counting them in fixed windows; while Redis is away
 * each worker holds itself to the limit. A call that is refused fails at once: nothing waits for tokens.
 */
export class RateLimit {
  readonly #pool: Counter;
  readonly #tenant: Counter | undefined;
  readonly #name: string;

  /** @param redis absent: this process alone is counted */
  constructor(name: string, config: RateLimitConfig, redis?: Redis) {
    this.#name = name;
    this.#pool = counter(`millrace:rate:${name}:pool`, config, redis);
    this.#tenant = config.perTenant && counter(`millrace:rate:${name}:tenant`, config.perTenant, redis);
  }

  /** Takes a call's tokens. Throws `RATE_LIMITED`, its `retryAfterMs` being the time until there are some again. */
  async take(tenant: string): Promise<void> {
    await this.#consume(this.#tenant, tenant, `of the tenant "${tenant}"`);
    try {
      await this.#consume(this.#pool, 'all', 'of all callers');
    } catch (error) {
      // What the pool has no room for must not count against the tenant.
      await this.#tenant?.reward(tenant).catch(() => undefined);
      throw error;
    }
  }

  async #consume(limiter: Counter | undefined, key: string, whose: string): Promise<void> {
    try {
      await limiter?.consume(key);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new MillraceError('RATE_LIMITED', `the rate limit ${whose} at the pool "${this.#name}" is used up`, {
        retryAfterMs: Math.max(1, Math.ceil(refused.msBeforeNext)),
      });
    }
  }
}

type Counter = RateLimiterRedis | RateLimiterMemory;

function counter(keyPrefix: string, config: Rate, redis: Redis | undefined): Counter {
  const options = { keyPrefix, ...windowOf(config) };
  const memory = new RateLimiterMemory(options);
  if (redis === undefined) return memory;
  return new RateLimiterRedis({
    ...options,
    storeClient: redis,
    insuranceLimiter: memory,
    rejectIfRedisNotReady: true,
  });
}
