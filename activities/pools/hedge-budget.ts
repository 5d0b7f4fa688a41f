/** Extra calls that hedging may make, as a share of all calls: an upper limit of the load it adds to a slow server. */
const CALLS_PER_HEDGE = 10;
/**
 * Extra calls that a pool may make at once, saved up over a hundred others: enough for a short stall of one endpoint,
 * when all its calls in flight are late together.
 */
const BURST = 10;

/** Token bucket: every call adds a tenth of a token, every hedge removes one. */
export class HedgeBudget {
  /** In calls: ten allow one hedge. */
  #saved = BURST * CALLS_PER_HEDGE;

  called(): void {
    this.#saved = Math.min(this.#saved + 1, BURST * CALLS_PER_HEDGE);
  }

  /** Takes one hedge. False if none is left. */
  take(): boolean {
    if (this.#saved < CALLS_PER_HEDGE) return false;
    this.#saved -= CALLS_PER_HEDGE;
    return true;
  }
}
