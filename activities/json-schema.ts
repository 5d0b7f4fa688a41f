import { z } from 'zod';
import { type FieldError, MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';

/** A value that a schema has made whole with its defaults, or why it does not fit. */
export type Fitted = { readonly data: Json } | { readonly fields: readonly FieldError[]; readonly told: string };

/** Checks a value against a JSON Schema. Throws `INVALID_PIPELINE` for a schema that cannot be read. */
export function fitted(value: unknown, schema: JsonObject): Fitted {
  const { data, error } = compiled(schema).safeParse(value);
  if (!error) return { data: data as Json };
  const fields = error.issues.map(({ path, message }) => ({ field: path.join('.'), message }));
  const told = fields.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join('; ');
  return { fields, told };
}

/** As many schemas as a worker's pipelines have; one takes a millisecond to compile, as long as a small reply to check. */
const MOST_COMPILED = 256;
const known = new Map<string, z.ZodType>();

/** A JSON Schema as what checks by it. Throws `INVALID_PIPELINE` where it cannot be read. */
export function compiled(schema: JsonObject): z.ZodType {
  const text = JSON.stringify(schema);
  const earlier = known.get(text);
  if (earlier) return earlier;
  const [oldest] = known.keys();
  if (known.size >= MOST_COMPILED && oldest !== undefined) known.delete(oldest);
  const fresh = compile(schema);
  known.set(text, fresh);
  return fresh;
}

function compile(schema: JsonObject): z.ZodType {
  try {
    // A registry of its own, which goes with the schema: the global one keeps whatever has an `id` for ever.
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], { registry: z.registry() });
  } catch (error) {
    throw new MillraceError('INVALID_PIPELINE', `a JSON schema cannot be read: ${messageOf(error)}`);
  }
}
