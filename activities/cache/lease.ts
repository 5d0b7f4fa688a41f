import { randomUUID } from 'node:crypto';
import type { CacheKeys } from './cache-key.js';
import type { Claimed, Entries } from './entries.js';

/**
 * The right to call the model for a text, held until `end`. Renewed three times within its length, so that it survives
 * two failed renewals in a row. If it is lost, another worker calls the model too: a second call, not a wrong answer.
 */
export class Lease {
  readonly owner = randomUUID();
  readonly #entries: Entries;
  readonly #at: CacheKeys;
  readonly #leaseMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(entries: Entries, at: CacheKeys, leaseMs: number) {
    this.#entries = entries;
    this.#at = at;
    this.#leaseMs = leaseMs;
  }

  /** The answer if it exists, else the lease if it is free, which is then renewed until `end`. */
  async claim(): Promise<Claimed> {
    const claim = await this.#entries.claim(this.#at, this.owner, this.#leaseMs);
    if (claim === 'mine') this.#hold();
    return claim;
  }

  #hold(): void {
    this.#timer = setInterval(() => {
      this.#entries.renew(this.#at, this.owner, this.#leaseMs).then(
        (mine) => {
          if (!mine) this.end();
        },
        () => undefined,
      );
    }, this.#leaseMs / 3);
    this.#timer.unref();
  }

  /** Stops renewing. */
  end(): void {
    clearInterval(this.#timer);
  }

  /**
   * Releases the lease, so that waiting workers proceed at once instead of when it expires. Not awaited; never throws.
   */
  giveUp(): void {
    this.end();
    this.#entries.release(this.#at, this.owner).catch(() => undefined);
  }

  /**
   * As `giveUp`, after a call whose answer is not kept where those of the others would not be either: all that wait make the call at once, not
   * one after another.
   */
  sendOff(): void {
    this.end();
    // A store that is full permits only the removal.
    this.#entries.sendOff(this.#at, this.owner).catch(() => this.giveUp());
  }
}
