import type { Redis } from 'ioredis';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { type RateCounter, rateCounter, rateFields } from '../../stores/rates/index.js';

/** `rateLimit` of a pool in the models file: for all its callers together, and for each tenant. */
export const rateLimitSchema = z.strictObject({ ...rateFields, perTenant: z.strictObject(rateFields).optional() });

export type RateLimitConfig = z.output<typeof rateLimitSchema>;

/**
 * Limits a pool's calls over all workers that share a Redis, counted in fixed windows; while Redis is away each worker
 * applies the limit to its own calls. A refused call fails at once: calls do not wait for tokens.
 */
export class RateLimit {
  readonly #pool: RateCounter;
  readonly #tenant: RateCounter | undefined;
  readonly #name: string;

  /** @param redis absent: only this process's calls are counted */
  constructor(name: string, config: RateLimitConfig, redis?: Redis) {
    this.#name = name;
    this.#pool = rateCounter(`millrace:rate:${name}:pool`, config, redis);
    this.#tenant = config.perTenant && rateCounter(`millrace:rate:${name}:tenant`, config.perTenant, redis);
  }

  /** Takes a call's tokens. Throws `RATE_LIMITED` with `retryAfterMs`, the time until tokens are available again. */
  async take(tenant: string): Promise<void> {
    await this.#consume(this.#tenant, tenant, `of the tenant "${tenant}"`);
    try {
      await this.#consume(this.#pool, 'all', 'of all callers');
    } catch (error) {
      // A call that the pool's limit refuses must not count against the tenant.
      await this.#tenant?.reward(tenant).catch(() => undefined);
      throw error;
    }
  }

  async #consume(limiter: RateCounter | undefined, key: string, whose: string): Promise<void> {
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
