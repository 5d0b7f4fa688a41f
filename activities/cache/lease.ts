import { randomUUID } from 'node:crypto';
import type { CachePlaces } from './cache-key.js';
import type { Entries } from './entries.js';

/**
 * The right to ask the model for a text, held until `end`. It is renewed three times in its life, so that two lost
 * renewals in a row do not hand it over. When it is lost all the same somebody else asks too: a second call of the model,
 * no wrong answer.
 */
export class Lease {
  readonly owner = randomUUID();
  readonly #entries: Entries;
  readonly #at: CachePlaces;
  readonly #leaseMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(entries: Entries, at: CachePlaces, leaseMs: number) {
    this.#entries = entries;
    this.#at = at;
    this.#leaseMs = leaseMs;
  }

  /** Renews from now on. */
  hold(): void {
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

  /** Lets those who wait go on at once instead of when the lease expires. Never throws. */
  async giveUp(): Promise<void> {
    this.end();
    await this.#entries.release(this.#at, this.owner).catch(() => undefined);
  }
}
