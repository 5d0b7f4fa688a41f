const FIRST_MS = 200;
const LONGEST_MS = 10_000;
/**
 * A part that was ready for this long, in milliseconds, counts as stable: its next failure is counted as the first. It is short because a
 * part that works and is killed every few seconds would otherwise be away for longer each time, up to 10 s. One that fails at its start
 * does not get this far.
 */
export const STABLE_MS = 2_000;

/**
 * Delay before the next start in milliseconds, by the number of failed starts in a row (1 = the first failure): 200 ms,
 * doubling, at most 10 s. Short at first, because a killed server is the common case and restarts at once.
 */
export function restartDelay(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, Math.min(failures - 1, 16)));
}

/** The failure count after a start that ended; reset if the part had been ready for long enough. */
export function failuresAfter(failures: number, readyForMs: number | undefined): number {
  return readyForMs !== undefined && readyForMs >= STABLE_MS ? 1 : failures + 1;
}
