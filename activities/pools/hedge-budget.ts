/** Extra calls that hedging may make, of all calls: it cannot raise the load of a slow server by more. */
const CALLS_PER_HEDGE = 10;
/**
 * Extra calls that a pool may make at once, saved up from a hundred others: what a short stall of one endpoint needs, when
 * all that it has in flight is late together.
 */
const BURST = 10;

/** Token bucket that every call fills by a tenth of a token and every hedge empties by one. */
export class HedgeBudget {
  /** In calls: ten are one hedge. */
  #saved = BURST * CALLS_PER_HEDGE;

  called(): void {
    this.#saved = Math.min(this.#saved + 1, BURST * CALLS_PER_HEDGE);
  }

  /** Takes one hedge. False when there is none left. */
  take(): boolean {
    if (this.#saved < CALLS_PER_HEDGE) return false;
    this.#saved -= CALLS_PER_HEDGE;
    return true;
  }
}
