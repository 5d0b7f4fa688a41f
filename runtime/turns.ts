import { keepNewest } from '../pipelines/keep-newest.js';

/** Tenants whose last turn is known: with more of them, who has not had one for long counts as new. */
const MOST_KNOWN = 1_000;

/** What is in use by tenant, and who had the last turns: tenants take turns, so that much work of one does not keep the others waiting. */
export class Turns {
  readonly #inFlight = new Map<string, number>();
  readonly #last = new Map<string, number>();
  #turn = 0;

  /** Work of the tenant gets a place. Returns what is called when it leaves it. */
  take(tenant: string): () => void {
    this.#turn += 1;
    this.#last.delete(tenant);
    this.#last.set(tenant, this.#turn);
    keepNewest(this.#last, MOST_KNOWN);
    this.#count(tenant, 1);
    return () => this.#count(tenant, -1);
  }

  /** Whether it is one tenant's turn before another's: it has fewer places, or as many, and its last turn is longer ago. */
  precedes(tenant: string, other: string): boolean {
    const more = this.#held(tenant) - this.#held(other);
    return more < 0 || (more === 0 && (this.#last.get(tenant) ?? 0) < (this.#last.get(other) ?? 0));
  }

  #held(tenant: string): number {
    return this.#inFlight.get(tenant) ?? 0;
  }

  #count(tenant: string, by: 1 | -1): void {
    const held = this.#held(tenant) + by;
    if (held > 0) this.#inFlight.set(tenant, held);
    else this.#inFlight.delete(tenant);
  }
}
