import type { JsonObject } from '../json.js';
import { wellFormed } from '../well-formed.js';

/** A stage, or the whole run, has failed for good. */
export class StageError extends Error {
  constructor(
    /** A code of the error table. */
    readonly code: string,
    message: string,
    readonly details: JsonObject = {},
  ) {
    super(wellFormed(message));
  }
}
