/** Random numbers from a seed: mulberry32, whose period of 2³² is far above the suite's needs. */
export class Seeded {
  #state: number;

  /** @param purpose separates the numbers of one use from another's, so that more of one do not change the other */
  constructor(seed: number, purpose: string) {
    this.#state = seed >>> 0;
    for (const char of purpose)
      this.#state = (Math.imul(this.#state ^ (char.codePointAt(0) ?? 0), 0x01000193) + 1) >>> 0;
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  /** A whole number of at least 0, below `most`. */
  below(most: number): number {
    return Math.floor(this.next() * most);
  }

  shuffled<T>(items: readonly T[]): T[] {
    const keyed = items.map((item) => ({ item, key: this.next() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
  }
}
