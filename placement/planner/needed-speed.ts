import { leastSpeed } from './late-jobs.js';

/** Jobs of one machine, and how many of them may be late. */
export interface Demanded {
  /** The least number of late jobs at a speed, counted up to `most` + 1. */
  readonly late: (speed: number) => number;
  /** Work of all jobs at least, and the time within which they arrive. */
  readonly work: number;
  readonly spanMs: number;
  /** Negative: too many are late at any speed. */
  readonly most: number;
}

/** What a speed may be off by. */
const ROUNDING = 1e-6;

/** The least speed of one machine with few enough late jobs, found out only as far as it is asked for. */
export class NeededSpeed {
  readonly #demanded: () => Demanded;
  /** A speed that is enough. */
  #enough = Number.POSITIVE_INFINITY;
  /** A speed below which it is not. */
  #least: number | undefined;

  constructor(demanded: () => Demanded) {
    this.#demanded = demanded;
  }

  /** Whether it is known if this speed is enough. */
  isKnown(speed: number): boolean {
    return this.#least !== undefined || speed >= this.#enough;
  }

  /** If this speed is not enough, a speed that is needed at least. */
  above(speed: number): number | undefined {
    if (!this.isKnown(speed)) this.#look(speed);
    return this.#least !== undefined && speed < this.#least * (1 - 1e-9) ? this.#least : undefined;
  }

  #look(speed: number): void {
    const { late, work, spanMs, most } = this.#demanded();
    if (most < 0) {
      this.#least = Number.POSITIVE_INFINITY;
      return;
    }
    const isEnough = (at: number) => late(at) <= most;
    const faster = speed * (1 + ROUNDING);
    if (work === 0 || (speed > 0 && isEnough(faster))) {
      this.#enough = speed;
      return;
    }
    this.#least = Math.max(faster, leastSpeed(isEnough, Math.max(faster, work / Math.max(1, spanMs))));
  }
}
