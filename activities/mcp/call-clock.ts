import { LONGEST_TIMER_MS } from '../../pipelines/duration.js';
import { MillraceError } from '../../pipelines/errors.js';

/** Aborts when a call has taken too long, without the time in which it waits for a person. */
export class CallClock {
  readonly signal: AbortSignal;
  readonly #own = new AbortController();
  readonly #ms: number;
  #leftMs: number;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #waits = 0;
  #ended = false;

  /** @param ms milliseconds that the call may take. Absent: as long as `outer` lets it */
  constructor(outer: AbortSignal, ms = Number.POSITIVE_INFINITY) {
    this.signal = AbortSignal.any([outer, this.#own.signal]);
    this.#ms = ms;
    this.#leftMs = ms;
    this.#run();
  }

  /** Does what waits for a person: the clock stands meanwhile. */
  async waiting<T>(work: () => Promise<T>): Promise<T> {
    this.#waits += 1;
    this.#stand();
    try {
      return await work();
    } finally {
      this.#waits -= 1;
      if (this.#waits === 0) this.#run();
    }
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #run(): void {
    if (this.#ended || !Number.isFinite(this.#leftMs)) return;
    this.#since = performance.now();
    this.#timer = setTimeout(
      () => this.#own.abort(tooLong(this.#ms)),
      Math.min(Math.max(0, this.#leftMs), LONGEST_TIMER_MS),
    );
  }

  #stand(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs -= performance.now() - this.#since;
  }
}

const tooLong = (ms: number): MillraceError =>
  new MillraceError('STAGE_TIMEOUT', `the call took longer than ${ms} ms, without its waits for a person`);
