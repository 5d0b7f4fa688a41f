import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';

/** A text for fields without further information. */
const TEXT = 'What is the capital of France?';

/**
 * A small value that is valid by a schema. Objects get their required fields only; without any, the first field with an
 * example, since such inputs usually require one. Undefined for media, and for texts with a pattern or format.
 */
export function exampleOf(schema: Json): Json | undefined {
  if (!isJsonObject(schema) || '$ref' in schema) return undefined;
  if ('default' in schema) return schema.default as Json;
  if ('const' in schema) return schema.const as Json;
  const [first] = (schema.enum ?? schema.anyOf ?? schema.oneOf ?? []) as readonly Json[];
  if (first !== undefined) return schema.enum ? first : exampleOf(first);
  const { type, pattern, format, minLength = 0, maxLength = TEXT.length, minimum = 1, maximum = minimum } = schema;
  if (type === 'boolean') return false;
  if (type === 'number' || type === 'integer') return Number(minimum) <= Number(maximum) ? minimum : maximum;
  if (type === 'array') return listOf(schema);
  if (type === 'object') return objectOf(schema);
  if (type !== 'string' || pattern !== undefined || format !== undefined || Number(minLength) > TEXT.length)
    return undefined;
  return TEXT.slice(0, Number(maxLength));
}

function objectOf({ properties = {}, required = [] }: JsonObject): JsonObject | undefined {
  const fields = Object.entries(properties as JsonObject);
  const wanted = fields.filter(([name]) => (required as readonly string[]).includes(name));
  const examples = (wanted.length > 0 ? wanted : fields).map(([name, schema]) => [name, exampleOf(schema as Json)]);
  const known = examples.filter(([, value]) => value !== undefined);
  if (wanted.length === 0) return Object.fromEntries(known.slice(0, 1));
  return known.length === wanted.length ? Object.fromEntries(known) : undefined;
}

function listOf({ items = null, minItems = 0 }: JsonObject): Json | undefined {
  const item = minItems === 0 ? null : exampleOf(items);
  return item === undefined ? undefined : Array.from({ length: Number(minItems) }, () => item);
}
