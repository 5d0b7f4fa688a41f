import type { ServerWork } from '../connectors/connector.js';

/** Factor by which the limit falls when the server is behind: 0.8 halves it in three observations. */
const DECREASE = 0.8;

/**
 * The number of calls that an endpoint should have in flight, derived from their wait in the server's own queue: additive
 * increase, multiplicative decrease (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
 * Avoidance in Computer Networks", 1989). A server is behind when requests wait longer in its queue than they are computed:
 * then more than one batch waits there, out of reach of priority and fairness. The time for which batches wait to fill, by the
 * server's own configuration, does not count.
 */
export class Congestion {
  #most: number;
  #limit: number;

  /** @param most upper limit of concurrent calls */
  constructor(most: number) {
    this.#most = most;
    this.#limit = most;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Takes another upper limit. A limit that has fallen below the old one stays, and grows up to the new one. */
  allow(most: number): void {
    this.#limit = this.#limit < this.#most ? Math.min(this.#limit, most) : most;
    this.#most = most;
  }

  /**
   * @param work the server's statistics since the last observation
   * @param peak most calls in flight during that time
   * @param delayMs how long a batch may wait to fill
   */
  observe({ requests, queueMs, computeMs }: ServerWork, peak: number, delayMs = 0): void {
    if (requests === 0) return;
    if (queueMs - requests * delayMs > computeMs) this.#limit = Math.max(1, this.#limit * DECREASE);
    else if (peak >= this.limit) this.#limit = Math.min(this.#most, this.#limit + 1);
  }
}
