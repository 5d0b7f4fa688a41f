/** What became of the runs of a simulation. */
export class Tally {
  inFlight = 0;
  completed = 0;
  failed = 0;
  refused = 0;
  oversized = 0;
  lastEnd = 0;
  // Of runs that are due: those too slow among the first `#due`.
  #due = 0;
  #late = 0;

  reset(startMs: number): void {
    this.inFlight = 0;
    this.completed = 0;
    this.failed = 0;
    this.refused = 0;
    this.oversized = 0;
    this.lastEnd = startMs;
    this.#due = 0;
    this.#late = 0;
  }

  /** Counts the end of a run in flight. */
  end(how: 'completed' | 'failed' | 'oversized', now: number): void {
    this[how] += 1;
    this.inFlight -= 1;
    if (now > this.lastEnd) this.lastEnd = now;
  }

  /**
   * Whether more of the runs that have arrived are too slow than may be. `left`: stages that a run still has; NaN as its
   * latency means not ended, unless it failed or was refused, of which none are left.
   */
  isHopeless(
    { afterMs, late }: { readonly afterMs: number; readonly late: number },
    arrived: number,
    now: number,
    timesMs: Float64Array,
    latencyMs: Float64Array,
    left: Int32Array,
  ): boolean {
    while (this.#due < arrived && (timesMs[this.#due] as number) + afterMs < now) {
      const took = latencyMs[this.#due] as number;
      if (took > afterMs || (Number.isNaN(took) && (left[this.#due] as number) > 0)) this.#late += 1;
      this.#due += 1;
    }
    return this.#late > late;
  }
}
