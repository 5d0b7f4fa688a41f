import { MillraceError } from '../pipelines/errors.js';
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
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor({ limits }: Pick<RunParts, 'limits'>) {
    this.#most = limits.maxStreams ?? MOST;
    this.#mostOfTenant = limits.maxStreamsOfTenant ?? MOST_OF_TENANT;
  }

  /**
   * Takes a slot. Throws `TOO_MANY_STREAMS`.
   * @returns a function that releases it; further calls have no effect
   */
  take(tenant: string): () => void {
    const own = this.#taken.get(tenant) ?? 0;
    if (own >= this.#mostOfTenant) throw tooMany(`tenant ${tenant}`, this.#mostOfTenant);
    if (this.#all >= this.#most) throw tooMany('gateway', this.#most);
    this.#count(tenant, 1);
    let held = true;
    return () => {
      if (held) this.#count(tenant, -1);
      held = false;
    };
  }

  #count(tenant: string, by: 1 | -1): void {
    this.#all += by;
    const left = (this.#taken.get(tenant) ?? 0) + by;
    if (left > 0) this.#taken.set(tenant, left);
    else this.#taken.delete(tenant);
  }
}

const tooMany = (whose: string, most: number) =>
  new MillraceError('TOO_MANY_STREAMS', `the ${whose} follows or waits for ${most} runs here, its most`, {
    retryAfterMs: RETRY_MS,
  });
