import { keepNewest } from '../../../pipelines/keep-newest.js';

/** Calls that a batch was lost with. One of them may be the reason, so each is repeated alone. */
export class Suspects {
  readonly #keys = new Set<string>();
  readonly #most: number;

  /** @param most the oldest beyond so many are forgotten */
  constructor(most = 10_000) {
    this.#most = most;
  }

  add(key: string | undefined): void {
    if (key === undefined) return;
    this.#keys.delete(key);
    this.#keys.add(key);
    keepNewest(this.#keys, this.#most);
  }

  has(key: string | undefined): boolean {
    return key !== undefined && this.#keys.has(key);
  }
}
