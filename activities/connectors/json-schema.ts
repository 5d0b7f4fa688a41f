import { type FieldError, MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { type CheckedSchema, readSchema, SchemaError, TooCostlyError } from '../../pipelines/json-schema/index.js';

/** A value that a schema has made whole with its defaults, or why it does not fit. */
export type Fitted = { readonly data: Json } | { readonly fields: readonly FieldError[]; readonly told: string };

/**
 * Checks a value against a JSON Schema. Throws `INVALID_PIPELINE` for a schema that cannot be read, and `CHECK_TOO_COSTLY` for
 * a value whose check takes too many steps.
 */
export function fitted(value: Json, schema: JsonObject): Fitted {
  const checked = compiled(schema);
  try {
    const fit = checked.fit(value);
    if ('data' in fit) return fit;
    const told = fit.fields.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join('; ');
    return { fields: fit.fields, told };
  } catch (error) {
    if (!(error instanceof TooCostlyError)) throw error;
    throw new MillraceError('CHECK_TOO_COSTLY', `the value ${error.message} against its JSON schema`);
  }
}

/**
 * As many schemas as a worker's pipelines have, and the longest of 100 tools: 16 MiB with what is made of them. Callers bring
 * schemas of their own; one that was pushed out is read again in the time that a small reply takes to check.
 */
const MOST_COMPILED = 256;
const MOST_TEXT = 2 * 1_024 * 1_024;
const known = new Map<string, CheckedSchema>();
let text = 0;

/** A JSON Schema as what checks by it. Throws `INVALID_PIPELINE` where it cannot be read. */
export function compiled(schema: JsonObject): CheckedSchema {
  const key = JSON.stringify(schema);
  const checked = known.get(key) ?? compile(schema);
  // The last of the map is the one that was used last.
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
