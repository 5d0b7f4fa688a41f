import type { z } from 'zod';
import { didYouMean } from './did-you-mean.js';
import { type ErrorCode, type ErrorDetails, type FieldError, MillraceError } from './errors.js';
import type { JsonObject } from './json.js';

/**
 * Maximum fields named by one failure: as many as a person corrects at once. A list of a million wrong items would
 * otherwise make a failure of 100 MB, which neither callers nor Temporal accept.
 */
export const MOST_FIELDS = 20;

/** Maximum length of a field's path and of its message, in UTF-16 units: both may contain data of the caller. */
const LONGEST = { field: 200, message: 500 };

/**
 * A failure that names the first invalid fields, at most 20, and the number of others.
 * @param others how many there are beside these
 */
export function invalidFields(
  code: ErrorCode,
  all: readonly FieldError[],
  more: ErrorDetails = {},
  others = 0,
): MillraceError {
  const fields = all.slice(0, MOST_FIELDS).map(({ field, message }) => ({
    field: clipped(field, LONGEST.field),
    message: clipped(message, LONGEST.message),
  }));
  const parts = fields.map(({ field, message }) => `${field}: ${message}`);
  const unnamed = all.length - fields.length + others;
  if (unnamed > 0) parts.push(`and ${unnamed} more`);
  return new MillraceError(code, parts.join('; '), { ...more, fields });
}

/** The failure of an input with one invalid field. */
export const invalidField = (field: string, message: string): MillraceError =>
  invalidFields('INVALID_INPUT', [{ field, message }]);

const clipped = (text: string, longest: number): string =>
  text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;

/** The errors of an input's fields as its caller sees them. `shape`: the fields of the input's schema. */
export function fieldErrors(
  issue: z.core.$ZodIssue,
  given: JsonObject,
  shape: Readonly<Record<string, z.ZodType>>,
): FieldError[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return unknownFields(issue.keys, path.length === 0 ? Object.keys(shape) : [], path.join('.'));
  }
  const [top] = path;
  // A refinement of the whole object may name a field that is optional.
  const missing = path.length === 1 && top !== undefined && given[top] === undefined && !shape[top]?.isOptional();
  return [{ field: path.join('.') || 'body', message: missing ? 'is required' : issue.message }];
}

/** Fields that are not in the input, each with the one that was probably meant, as far as the error names them. */
export const unknownFields = (fields: readonly string[], known: Iterable<string>, path = ''): FieldError[] =>
  fields.map((field, i) => ({
    field: path === '' ? field : `${path}.${field}`,
    message: `unknown field${i < MOST_FIELDS ? didYouMean(field, known) : ''}`,
  }));
