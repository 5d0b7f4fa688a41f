const FIRST_MS = 200;
const LONGEST_MS = 10_000;
/** A part that was ready for this long, in milliseconds, has started: its next failure is counted as the first failed start. */
export const STABLE_MS = 2_000;

/** Time in which a part is ready that makes up for one end, in milliseconds: one that ends less often is never held back. */
const WELL_MS = 5_000;
/** Ends close together that do not hold a part back: servers are killed, and are to return at once. */
const BURST = 3;
/** The count at which the delay is longest. It grows no further, so that a part that is well for a minute counts as new. */
const MOST_RECENT = BURST + 6;

/**
 * Delay before the next start in milliseconds, by the number of failed starts in a row (1 = the first failure): 200 ms,
 * doubling, at most 10 s. Short at first, because a killed server is the common case and restarts at once.
 */
export function restartDelay(failures: number): number {
  return Math.min(LONGEST_MS, Math.round(FIRST_MS * 2 ** Math.max(0, Math.min(failures - 1, 16))));
}

/** The failure count after a start that ended; reset if the part had been ready for long enough. */
export function failuresAfter(failures: number, readyForMs: number | undefined): number {
  return readyForMs !== undefined && readyForMs >= STABLE_MS ? 1 : failures + 1;
}

/**
 * How often a part has ended lately, however long it was ready before each end: a leaky bucket that the time empties in which the part is
 * ready.
 */
export class RecentEnds {
  #count = 0;

  /** Counts one more end. Returns the delay before the next start in milliseconds, which `restartDelay` may exceed. */
  add(readyForMs = 0): number {
    this.#count = Math.min(MOST_RECENT, Math.max(0, this.#count - readyForMs / WELL_MS) + 1);
    return restartDelay(this.#count - BURST + 1);
  }
}
