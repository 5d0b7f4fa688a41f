/** Calls that a worker may reject per second before it asks them to come back later. */
const MOST_A_SECOND = 100;
const LONGEST_MS = 30_000;

/**
 * Minimum wait for calls without a reachable server: each comes back, and thousands of retries per second would be a
 * load of their own. The wait is doubled while too many come, and halved afterwards.
 */
export class Pace {
  #since = performance.now();
  #count = 0;
  #ms = 0;

  /** Counts a rejected call. Returns its minimum wait, in milliseconds; 0 while there are few. */
  turnedAway(): number {
    const now = performance.now();
    if (now - this.#since >= 1_000) {
      const perSecond = (this.#count * 1_000) / (now - this.#since);
      if (perSecond > MOST_A_SECOND) this.#ms = Math.min(Math.max(1_000, this.#ms * 2), LONGEST_MS);
      else if (perSecond < MOST_A_SECOND / 4) this.#ms = this.#ms <= 1_000 ? 0 : this.#ms / 2;
      this.#since = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#ms;
  }
}
