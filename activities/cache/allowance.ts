import type { Redis } from 'ioredis';
import { RateLimiterRes } from 'rate-limiter-flexible';
import { type RateCounter, rateCounter } from '../../stores/rates/index.js';

const HOUR_S = 3_600;

export interface AllowanceLimits {
  /** Bytes of answers stored per tenant and hour, over all workers that share the Redis. Absent: no limit. */
  readonly tenantBytesPerHour?: number | undefined;
  /** The same per API key or user of a tenant: one caller must not fill what all callers share. Absent: no limit. */
  readonly principalBytesPerHour?: number | undefined;
}

/** What may be stored in the caches within an hour. */
export class Allowance {
  readonly #tenant: RateCounter | undefined;
  readonly #principal: RateCounter | undefined;

  constructor(redis: Redis, { tenantBytesPerHour, principalBytesPerHour }: AllowanceLimits) {
    const counter = (name: string, bytes: number | undefined) =>
      bytes === undefined
        ? undefined
        : rateCounter(`millrace:${name}`, { perSecond: bytes / HOUR_S, burst: bytes }, redis);
    this.#tenant = counter('cache-bytes', tenantBytesPerHour);
    this.#principal = counter('cache-bytes-of', principalBytesPerHour);
  }

  /** Whose allowance has no room for so many bytes; undefined if they may be stored. */
  async exceeded(
    tenant: string,
    principal: string | undefined,
    bytes: number,
  ): Promise<'caller' | 'tenant' | undefined> {
    if (principal !== undefined && !(await taken(this.#principal, `${tenant} ${principal}`, bytes))) return 'caller';
    return (await taken(this.#tenant, tenant, bytes)) ? undefined : 'tenant';
  }
}

async function taken(counter: RateCounter | undefined, key: string, bytes: number): Promise<boolean> {
  try {
    await counter?.consume(key, bytes);
    return true;
  } catch (refused) {
    if (refused instanceof RateLimiterRes) return false;
    throw refused;
  }
}
