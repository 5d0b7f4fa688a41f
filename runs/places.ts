import { MillraceError } from '../pipelines/errors.js';
import type { RunParts } from './deps.js';

/** Where nothing else is said. A stream costs a socket and some 50 kB. */
const MOST = 4_000;
const MOST_OF_TENANT = 1_000;

/** Whoever gets no place is told to come back after this, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * The requests of a gateway that wait for a run or follow it, by whichever door. Each holds a place from before its run starts
 * until it is answered or its client has left.
 */
export class Places {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor({ limits }: Pick<RunParts, 'limits'>) {
    this.#most = limits.maxStreams ?? MOST;
    this.#mostOfTenant = limits.maxStreamsOfTenant ?? MOST_OF_TENANT;
  }

  /**
   * Takes a place. Throws `TOO_MANY_STREAMS`.
   * @returns what gives it back; more calls than one do nothing
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
