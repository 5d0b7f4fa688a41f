const FIRST_MS = 200;
const LONGEST_MS = 10_000;
/** A part that was ready this long has proved itself: its next failure counts as the first. */
export const STABLE_MS = 10_000;

/**
 * Wait before the next start, by how many starts in a row have failed (1 = the first failure): 200 ms, doubled each
 * time, at most 10 s. Short at first, because a killed server is the common case and comes back at once.
 */
export function restartDelay(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, Math.min(failures - 1, 16)));
}

/** The count after a start that ended: it grows unless the part had been ready for long enough. */
export function failuresAfter(failures: number, readyForMs: number | undefined): number {
  return readyForMs !== undefined && readyForMs >= STABLE_MS ? 1 : failures + 1;
}
