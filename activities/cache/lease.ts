import { randomUUID } from 'node:crypto';
import type { CacheKeys } from './cache-key.js';
import type { Entries, Entry } from './entries.js';

/**
 * The right to ask the model for a text, held until `end`. It is renewed three times in its life, so that two lost
 * renewals in a row do not hand it over. When it is lost all the same somebody else asks too: a second call of the model,
 * no wrong answer.
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

  /** The answer if it has come, else the lease if it is free. Renews it from then on. */
  async claim(): Promise<Entry | 'mine' | 'taken'> {
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

  /** Lets those who wait go on at once instead of when the lease expires. Nobody waits for it and it never throws. */
  giveUp(): void {
    this.end();
    this.#entries.release(this.#at, this.owner).catch(() => undefined);
  }
}
