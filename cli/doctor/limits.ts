/**
 * Longest wait for one call of a server: a model that works answers its smallest call well within it, even where all are
 * called at the same time on two cores.
 */
export const CALL_MS = 10_000;

/** Longest time of one check: two calls, and a little so that the call’s own limit speaks first. All checks run at once. */
export const CHECK_MS = 2 * CALL_MS + 1_000;

/** Longest wait for a file of some kilobytes: one of a network that takes longer would keep workers from starting too. */
export const FILE_MS = 3_000;
