/** First and longest time that traffic stays away from an endpoint that fails; doubled at every failure. */
const OPEN_MS = { first: 1_000, longest: 8_000 };

/**
 * Circuit breaker of one endpoint. `closed` calls go there; `open` it has just failed and they go elsewhere; `half-open` its
 * time is over and one call, the recovery probe, finds out whether it works. Times are those of `performance.now()`.
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

  /** A recovery probe is under way: the others wait for what it finds. */
  get probing(): boolean {
    return this.#probing && this.state === 'half-open';
  }

  /** Told of every call that is sent. True when it is the recovery probe; `endProbe` must follow. */
  startProbe(): boolean {
    if (this.state !== 'half-open' || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  /** The probe has ended; without a verdict, as when its caller left, the next call is one. */
  endProbe(): void {
    this.#probing = false;
  }

  /** A call or a canary has succeeded, whenever it was sent. */
  succeeded(): void {
    this.#state = 'closed';
    this.#openMs = 0;
  }

  /** Calls that fail together are one failure. */
  failed(): void {
    if (this.state !== 'open') this.#openMs = Math.min(Math.max(OPEN_MS.first, this.#openMs * 2), OPEN_MS.longest);
    this.#state = 'tripped';
    this.#openUntil = Math.max(this.#openUntil, performance.now() + this.#openMs);
  }
}
