import { mulberry32 } from '../random.js';

/** Random numbers from a seed. */
export class Seeded {
  /** At least 0, below 1. */
  readonly next: () => number;

  /** @param purpose separates the numbers of one use from another's, so that more of one do not change the other */
  constructor(seed: number, purpose: string) {
    let state = seed >>> 0;
    for (const char of purpose) state = (Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193) + 1) >>> 0;
    this.next = mulberry32(state);
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
