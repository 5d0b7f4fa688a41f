import { MillraceError } from '../pipelines/errors.js';
import { TenantSlots } from '../runtime/tenant-slots.js';
import type { RunParts } from './deps.js';

/** Defaults. A stream costs a socket and about 50 kB. */
const MOST = 4_000;
const MOST_OF_TENANT = 1_000;

/** `Retry-After` of a rejected request, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Limits the requests that wait for a run or follow it, over all doors of a gateway. Each holds a slot from before its run starts
 * until the response has been sent or the client has disconnected.
 */
export class StreamSlots {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #slots: TenantSlots;

  constructor({ limits }: Pick<RunParts, 'limits'>) {
    this.#most = limits.maxStreams ?? MOST;
    this.#mostOfTenant = limits.maxStreamsOfTenant ?? MOST_OF_TENANT;
    this.#slots = new TenantSlots(this.#most, this.#mostOfTenant);
  }

  /**
   * Takes a slot. Throws `TOO_MANY_STREAMS`.
   * @returns a function that releases it; further calls have no effect
   */
  take(tenant: string): () => void {
    const release = this.#slots.take(tenant);
    if (release) return release;
    throw this.#slots.hasAll(tenant) ? tooMany(`tenant ${tenant}`, this.#mostOfTenant) : tooMany('gateway', this.#most);
  }
}

const tooMany = (whose: string, most: number) =>
  new MillraceError('TOO_MANY_STREAMS', `the ${whose} already follows or waits for ${most} runs, which is the limit`, {
    retryAfterMs: RETRY_MS,
  });
