import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import { type Rate, windowOf } from './rate.js';

/** Counts calls in fixed windows. `consume` rejects with a `RateLimiterRes` when a window is full. */
export type RateCounter = RateLimiterRedis | RateLimiterMemory;

/**
 * A counter shared by all processes that use a Redis; while it is unreachable each process counts by itself.
 * @param redis absent: counts within this process only
 */
export function rateCounter(keyPrefix: string, rate: Rate, redis: Redis | undefined): RateCounter {
  const options = { keyPrefix, ...windowOf(rate) };
  const memory = new RateLimiterMemory(options);
  if (redis === undefined) return memory;
  return new RateLimiterRedis({
    ...options,
    storeClient: redis,
    insuranceLimiter: memory,
    rejectIfRedisNotReady: true,
  });
}
