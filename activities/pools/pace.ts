/** Calls that a worker may turn away in a second before it asks them to come back later. */
const MOST_A_SECOND = 100;
const LONGEST_MS = 30_000;

/**
 * How long those should stay away for whom there is no server: each comes back to ask, and thousands of them that ask each second
 * would be a load of their own. The time is doubled while too many come, and halved again.
 */
export class Pace {
  #since = performance.now();
  #count = 0;
  #ms = 0;

  /** One is turned away. Gives how long it should wait at least, in milliseconds; 0 while few come. */
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
