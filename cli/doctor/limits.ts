/**
 * Timeout of one call of a server, in milliseconds: a model that works answers its smallest call well within it, even
 * if all models are called at once on two cores.
 */
export const CALL_MS = 10_000;

/**
 * Timeout of one check, in milliseconds: a search for the endpoints of a pool, which takes as long as a call at most,
 * and two calls, plus a margin so that their own timeouts fire first. All checks run concurrently.
 */
export const CHECK_MS = 3 * CALL_MS + 1_000;

/**
 * Timeout of reading a file of some kilobytes, in milliseconds: a slower network file system would also delay the start
 * of workers.
 */
export const FILE_MS = 3_000;
