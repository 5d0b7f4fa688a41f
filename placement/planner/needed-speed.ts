import { type Jobs, leastLate, leastSpeed } from './late-jobs.js';

/** Jobs of one machine, and how many of them may be late; negative: too many are in any case. */
export interface Demanded {
  readonly jobs: Jobs;
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
    const { jobs, most } = this.#demanded();
    if (most < 0) {
      this.#least = Number.POSITIVE_INFINITY;
      return;
    }
    const total = jobs.work.reduce((sum, each) => sum + each, 0);
    const faster = speed * (1 + ROUNDING);
    const isEnough = total === 0 || (speed > 0 && leastLate(jobs, faster, most) <= most);
    if (isEnough) {
      this.#enough = speed;
      return;
    }
    const spanMs = Math.max(1, (jobs.releaseMs.at(-1) ?? 0) - (jobs.releaseMs[0] ?? 0));
    this.#least = Math.max(faster, leastSpeed(jobs, most, Math.max(faster, total / spanMs)));
  }
}
