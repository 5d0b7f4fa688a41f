import { type FieldError, MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { type CheckedSchema, readSchema, SchemaError, TooCostlyError } from '../../pipelines/json-schema/index.js';

/** A value completed with the schema's defaults, or why it does not fit. */
export type Fitted = { readonly data: Json } | { readonly fields: readonly FieldError[]; readonly summary: string };

/**
 * Checks a value against a JSON Schema. Throws `INVALID_PIPELINE` for a schema that cannot be read, and
 * `CHECK_TOO_COSTLY` for a value whose check exceeds the step limit.
 */
export function fitted(value: Json, schema: JsonObject): Fitted {
  const checked = compiled(schema);
  try {
    const fit = checked.fit(value);
    if ('data' in fit) return fit;
    const summary = fit.fields.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join('; ');
    return { fields: fit.fields, summary };
  } catch (error) {
    if (!(error instanceof TooCostlyError)) throw error;
    throw new MillraceError('CHECK_TOO_COSTLY', `the value ${error.message} against its JSON schema`);
  }
}

/**
 * Enough for the schemas of a worker's pipelines and the largest ones of 100 tools: 16 MiB compiled. Callers send
 * schemas of their own; recompiling an evicted one takes about as long as checking a small reply.
 */
const MOST_COMPILED = 256;
const MOST_TEXT = 2 * 1_024 * 1_024;
const known = new Map<string, CheckedSchema>();
let text = 0;

/** Compiles a JSON Schema. Throws `INVALID_PIPELINE` if it cannot be read. */
export function compiled(schema: JsonObject): CheckedSchema {
  const key = JSON.stringify(schema);
  const checked = known.get(key) ?? compile(schema);
  // The map's last entry is the most recently used.
  text += known.delete(key) ? 0 : key.length;
  known.set(key, checked);
  for (const oldest of known.keys()) {
    if (known.size <= MOST_COMPILED && text <= MOST_TEXT) break;
    known.delete(oldest);
    text -= oldest.length;
  }
  return checked;
}

function compile(schema: JsonObject): CheckedSchema {
  try {
    return readSchema(schema);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new MillraceError('INVALID_PIPELINE', `a JSON schema cannot be read: ${error.message}`);
  }
}
