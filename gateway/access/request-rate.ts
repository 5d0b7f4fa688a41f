import type { Redis } from 'ioredis';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import { type Rate, type RateCounter, rateCounter } from '../../stores/rates/index.js';

/** What is left of a caller's rate after a request. */
export interface RateState {
  /** Whose rate: `tenant`, or `key` where a key has one of its own. */
  readonly of: 'tenant' | 'key';
  /** Requests in a window of so many seconds. */
  readonly limit: number;
  readonly windowS: number;
  readonly remaining: number;
  /** Until the window ends, in milliseconds. */
  readonly resetMs: number;
}

/** The caller's rate is used up: the answer says when there is more. */
export class RateExceededError extends MillraceError {
  constructor(readonly rate: RateState) {
    const { of, limit, windowS, resetMs } = rate;
    super('RATE_LIMITED', `the ${of} may make ${limit} requests in ${windowS} s`, { retryAfterMs: resetMs });
  }
}

/** Counts the requests of tenants and keys over all gateways of a Redis; while it is away each gateway counts by itself. */
export class RequestRate {
  readonly #redis: Redis | undefined;
  readonly #counters = new Map<string, RateCounter>();

  constructor(redis?: Redis) {
    this.#redis = redis;
  }

  /** Counts a request, or several that came as one. Throws `RateExceededError`. */
  async take(of: RateState['of'], name: string, rate: Rate, requests = 1): Promise<RateState> {
    const counter = this.#counterOf(rate);
    const state = (left: RateLimiterRes): RateState => ({
      of,
      limit: counter.points,
      windowS: counter.duration,
      remaining: left.remainingPoints,
      resetMs: Math.max(1, left.msBeforeNext),
    });
    try {
      return state(await counter.consume(`${of}:${name}`, requests));
    } catch (refused) {
      if (refused instanceof RateLimiterRes) throw new RateExceededError(state(refused));
      throw refused;
    }
  }

  /** One for each rate that keys and settings name, which are few. */
  #counterOf(rate: Rate): RateCounter {
    const known = JSON.stringify([rate.perSecond, rate.burst]);
    const counter = this.#counters.get(known) ?? rateCounter('millrace:requests', rate, this.#redis);
    this.#counters.set(known, counter);
    return counter;
  }
}

/**
 * How a rate is told: `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers has them from its revision
 * 08 on, and the three fields of its revisions up to 06, which are those that clients read today.
 */
export function rateHeaders({ of, limit, windowS, remaining, resetMs }: RateState): Record<string, string> {
  const resetS = Math.ceil(resetMs / 1000);
  return {
    'ratelimit-policy': `"${of}";q=${limit};w=${windowS}`,
    ratelimit: `"${of}";r=${remaining};t=${resetS}`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetS),
  };
}
