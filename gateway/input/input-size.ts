import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';

/**
 * Most values in an input: items of lists and fields of objects, at every depth. A schema's check of a wrong item costs
 * 3 µs and 0.5 KB, and the process serves nobody meanwhile: this many are a quarter of a second. At 20 bytes a value they
 * also fill the 2 MB that a payload of Temporal holds.
 */
export const MOST_VALUES = 100_000;

/** Deepest nesting of an input: far above any schema, far below what overflows the stack of a recursive check (some 1,000). */
export const MOST_LEVELS = 64;

/**
 * Throws `INVALID_INPUT` for a value of more parts or levels than an input may have. It looks level by level, and ends at
 * the limits however large the value is.
 */
export function expectModest(value: Json, path: string): void {
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
      if (seen > MOST_VALUES) {
        throw invalidFields('INVALID_INPUT', [
          { field: path, message: `has more than ${MOST_VALUES} values, those in it counted` },
        ]);
      }
      for (const part of parts) below.push(part);
    }
    level = below;
  }
}
