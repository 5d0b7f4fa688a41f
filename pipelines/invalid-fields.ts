import { type ErrorCode, type ErrorDetails, type FieldError, MillraceError } from './errors.js';

/**
 * Most fields that one failure names: as many as somebody corrects at once. A list of a million wrong items would else
 * make a failure of 100 MB, which neither a caller nor Temporal takes.
 */
export const MOST_FIELDS = 20;

/** Longest path and longest message of a field, in UTF-16 units: both may hold what a caller sent. */
const LONGEST = { field: 200, message: 500 };

/** A failure that names the first of the bad fields, at most 20, and says how many more there are. */
export function invalidFields(code: ErrorCode, all: readonly FieldError[], more: ErrorDetails = {}): MillraceError {
  const fields = all.slice(0, MOST_FIELDS).map(({ field, message }) => ({
    field: clipped(field, LONGEST.field),
    message: clipped(message, LONGEST.message),
  }));
  const told = fields.map(({ field, message }) => `${field}: ${message}`);
  if (all.length > fields.length) told.push(`and ${all.length - fields.length} more`);
  return new MillraceError(code, told.join('; '), { ...more, fields });
}

const clipped = (text: string, longest: number): string =>
  text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
