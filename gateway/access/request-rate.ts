import type { Redis } from 'ioredis';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { MillraceError } from '../../pipelines/errors.js';
import { type Rate, type RateCounter, rateCounter } from '../../stores/rates/index.js';

/** State of a caller's rate limit after a request. */
export interface RateState {
  /** Whose limit it is: `key` if the key has its own. */
  readonly of: 'tenant' | 'key';
  /** Requests per window. */
  readonly limit: number;
  readonly windowS: number;
  readonly remaining: number;
  /** Remaining time of the window, in milliseconds. */
  readonly resetMs: number;
}

/** The caller's rate is exceeded; the response says when the window ends. */
export class RateExceededError extends MillraceError {
  constructor(readonly rate: RateState) {
    const { of, limit, windowS, resetMs } = rate;
    super('RATE_LIMITED', `the ${of} may make ${limit} requests in ${windowS} s`, { retryAfterMs: resetMs });
  }
}

/**
 * Counts the requests of tenants and keys over all gateways that share a Redis; while it is unreachable each gateway
 * counts alone.
 */
export class RequestRate {
  readonly #redis: Redis | undefined;
  readonly #counters = new Map<string, RateCounter>();

  constructor(redis?: Redis) {
    this.#redis = redis;
  }

  /** Counts a request, or the requests of a batch. Throws `RateExceededError`. */
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

  /** One counter per rate; keys and settings name few different ones. */
  #counterOf(rate: Rate): RateCounter {
    const known = JSON.stringify([rate.perSecond, rate.burst]);
    const counter = this.#counters.get(known) ?? rateCounter('millrace:requests', rate, this.#redis);
    this.#counters.set(known, counter);
    return counter;
  }
}

/**
 * The rate limit in headers: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers from revision
 * 08 on, the three fields of its revisions up to 06, which current clients read, and the three that clients of OpenAI read.
 */
export function rateHeaders({ of, limit, windowS, remaining, resetMs }: RateState): Record<string, string> {
  const resetS = Math.ceil(resetMs / 1000);
  return {
    'ratelimit-policy': `"${of}";q=${limit};w=${windowS}`,
    ratelimit: `"${of}";r=${remaining};t=${resetS}`,
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetS),
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': `${resetS}s`,
  };
}
