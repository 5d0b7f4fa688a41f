import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';

/**
 * Most values in an input: list items and object fields, at every depth. Validation of an invalid item takes 3 µs and
 * 0.5 KB and blocks the event loop: this many take a quarter of a second. At 20 bytes a value they also fill Temporal's
 * payload limit of 2 MB.
 */
export const MOST_VALUES = 100_000;

/**
 * Deepest nesting of an input: far above any schema, far below the depth at which a recursive check overflows the stack
 * (about 1,000).
 */
export const MOST_LEVELS = 64;

/**
 * How many values a value has, itself included. Throws `INVALID_INPUT` for more values or levels than an input may have. Traverses breadth
 * first and stops at the limits, however large the value is.
 * @param why what is said behind the limit of values
 */
export function expectModest(value: Json, path: string, most = MOST_VALUES, why = ''): number {
  let seen = 1;
  let level: readonly Json[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) {
      throw invalidFields('INVALID_INPUT', [
        { field: path, message: `is nested more than ${MOST_LEVELS} levels deep` },
      ]);
    }
    const below: Json[] = [];
    for (const each of level) {
      if (typeof each !== 'object' || each === null) continue;
      const parts = Array.isArray(each) ? (each as readonly Json[]) : Object.values(each);
      seen += parts.length;
      if (seen > most) {
        throw invalidFields('INVALID_INPUT', [
          { field: path, message: `has more than ${most} values, nested ones included${why}` },
        ]);
      }
      for (const part of parts) below.push(part);
    }
    level = below;
  }
  return seen;
}
