import type { ServerWork } from '../connectors/connector.js';

/** Factor by which the limit falls when the server is behind: with 0.8 it halves in three looks. */
const DECREASE = 0.8;

/**
 * How many calls an endpoint should have at once, found from how long they wait in the server's own queue: additive
 * increase, multiplicative decrease (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
 * Avoidance in Computer Networks", 1989). A server is behind when requests wait longer in its queue than they are computed:
 * then more than one batch waits there, where neither priority nor fairness reaches it.
 */
export class Congestion {
  readonly #most: number;
  #limit: number;

  /** @param most calls at once that the limit never exceeds */
  constructor(most: number) {
    this.#most = most;
    this.#limit = most;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /**
   * @param work what the server has done since it was last asked
   * @param peak most calls that were in flight at once meanwhile
   */
  observe({ requests, queueMs, computeMs }: ServerWork, peak: number): void {
    if (requests === 0) return;
    if (queueMs > computeMs) this.#limit = Math.max(1, this.#limit * DECREASE);
    else if (peak >= this.limit) this.#limit = Math.min(this.#most, this.#limit + 1);
  }
}
