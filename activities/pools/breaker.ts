/** First and longest time without traffic for a failing endpoint; doubled at every failure. */
const OPEN_MS = { first: 1_000, longest: 8_000 };

/**
 * Circuit breaker of one endpoint. `closed`: calls are sent to it; `open`: it has just failed and calls go to other
 * endpoints; `half-open`: the time is over and one call, the recovery probe, tests whether it works. Times are those of
 * `performance.now()`.
 */
export class Breaker {
  #state: 'closed' | 'tripped' = 'closed';
  #openUntil = 0;
  #openMs = 0;
  #probing = false;

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#state === 'closed') return 'closed';
    return this.#openUntil > performance.now() ? 'open' : 'half-open';
  }

  /** When it stops being open. */
  get openUntil(): number {
    return this.#openUntil;
  }

  /** A recovery probe is in flight; other calls wait for its result. */
  get probing(): boolean {
    return this.#probing && this.state === 'half-open';
  }

  /** Called for every call sent. True for the recovery probe; `endProbe` must follow. */
  startProbe(): boolean {
    if (this.state !== 'half-open' || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  /** The probe has ended; without a result, e.g. because its caller cancelled, the next call becomes the probe. */
  endProbe(): void {
    this.#probing = false;
  }

  /** A call or a canary has succeeded, whenever it was sent. */
  succeeded(): void {
    this.#state = 'closed';
    this.#openMs = 0;
  }

  /** Calls that fail at the same time count as one failure. */
  failed(): void {
    if (this.state !== 'open') this.#openMs = Math.min(Math.max(OPEN_MS.first, this.#openMs * 2), OPEN_MS.longest);
    this.#state = 'tripped';
    this.#openUntil = Math.max(this.#openUntil, performance.now() + this.#openMs);
  }
}
