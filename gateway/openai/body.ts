import type { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { expectModest } from '../input/input-size.js';
import { invalidParam } from './error-body.js';

interface Passed {
  /** Unsupported parameters, with a check for values that have no effect. */
  readonly neutral?: Readonly<Record<string, (value: Json) => boolean>>;
  /** Parameters that do not affect the response. */
  readonly harmless?: readonly string[];
}

/** Validates a body by its schema. Throws `INVALID_INPUT` with the parameter: `messages[2].content`. */
export function checked<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  body: Json,
  { neutral = {}, harmless = [] }: Passed,
): z.output<z.ZodObject<Shape>> {
  if (!isJsonObject(body)) throw invalidParam('body', 'must be a JSON object');
  expectModest(body, 'body');
  for (const [name, value] of Object.entries(body)) {
    if (Object.hasOwn(schema.shape, name) || harmless.includes(name) || value === null) continue;
    if (!Object.hasOwn(neutral, name)) throw invalidParam(name, 'is not a known parameter');
    if (!neutral[name]?.(value)) throw invalidParam(name, 'is not supported with this value; leave it out');
  }
  const { data, error } = schema.safeParse(body);
  if (!error) return data;
  throw invalidFields(
    'INVALID_INPUT',
    error.issues.map(closestOf).map(({ path, message }) => ({ field: paramAt(path) || 'body', message })),
  );
}

type Issue = Pick<z.core.$ZodIssue, 'path' | 'message'>;

/**
 * Of a union, what is wrong within the alternative that fits best: the one whose first mistake lies deepest, in unions
 * within it too.
 */
export function closestOf(issue: z.core.$ZodIssue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const [best] = issue.errors
    .flatMap(([first]) => (first ? [closestOf(first)] : []))
    .filter(({ path }) => path.length > 1)
    .sort((a, b) => b.path.length - a.path.length);
  return best ? { message: best.message, path: [...issue.path, ...best.path] } : issue;
}

const paramAt = (path: readonly PropertyKey[]): string =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('');
