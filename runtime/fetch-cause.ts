import { messageOf } from '../pipelines/errors.js';

/** Why `fetch` has failed: its own message says only that it did, that of its cause why. */
export const fetchCause = (error: unknown): string =>
  messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
