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
  /** The limit that the server has caused, below the upper one of that time; infinite without any. */
  #caused = Number.POSITIVE_INFINITY;

  /** @param most upper limit of concurrent calls */
  constructor(most: number) {
    this.#most = most;
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#now));
  }

  /** Takes another upper limit. A limit that the server has caused stays beside it, and applies again once the upper one is above it. */
  allow(most: number): void {
    this.#most = most;
  }

  get #now(): number {
    return Math.min(this.#most, this.#caused);
  }

  /**
   * @param work the server's statistics since the last observation
   * @param peak most calls in flight during that time
   * @param delayMs how long a batch may wait to fill
   */
  observe({ requests, queueMs, computeMs }: ServerWork, peak: number, delayMs = 0): void {
    if (requests === 0) return;
    if (queueMs - requests * delayMs > computeMs) {
      const lower = Math.max(1, this.#now * DECREASE);
      if (lower < this.#now) this.#caused = lower;
    } else if (peak >= this.limit && this.#caused < this.#most) {
      this.#caused = this.#caused + 1 < this.#most ? this.#caused + 1 : Number.POSITIVE_INFINITY;
    }
  }
}
