import { isJsonObject, type Json, type JsonObject } from '../json.js';

/** An error in an OpenAPI document: where, as a JSON pointer, and what. */
export class DocumentError extends Error {}

/** Maximum nesting of a schema; deeper means recursive. */
const MOST_LEVELS = 32;

/** OpenAPI keywords that do not constrain values. */
const NOT_OF_VALUES: ReadonlySet<string> = new Set([
  'example',
  'examples',
  'xml',
  'externalDocs',
  'discriminator',
  'deprecated',
  'nullable',
  'readOnly',
  'writeOnly',
]);

/**
 * Converts a schema of an OpenAPI document (3.0 or 3.1) to plain JSON Schema: references within the document are
 * inlined, `nullable` becomes a type. Throws `DocumentError` for recursive schemas and external references.
 */
export function plainSchema(document: JsonObject, schema: Json, levels = 0): Json {
  if (levels > MOST_LEVELS) throw new DocumentError('has a recursive schema');
  if (Array.isArray(schema)) return schema.map((each: Json) => plainSchema(document, each, levels + 1));
  if (!isJsonObject(schema)) return schema;
  if (typeof schema.$ref === 'string') return plainSchema(document, pointed(document, schema.$ref), levels + 1);
  const copy: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key.startsWith('x-') || NOT_OF_VALUES.has(key)) continue;
    // Property names are not keywords.
    copy[key] =
      key === 'properties' && isJsonObject(value)
        ? properties(document, value, levels)
        : plainSchema(document, value, levels + 1);
  }
  // OpenAPI 3.0 has a boolean beside the bound, JSON Schema a number in its place.
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    const { [exclusive]: only, [bound]: limit } = copy;
    if (typeof only !== 'boolean') continue;
    delete copy[exclusive];
    if (only && limit !== undefined) {
      copy[exclusive] = limit;
      delete copy[bound];
    }
  }
  return schema.nullable === true ? { anyOf: [copy, { type: 'null' }] } : copy;
}

const properties = (document: JsonObject, all: JsonObject, levels: number): JsonObject =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [name, plainSchema(document, value, levels + 1)]));

/** Follows references within the document; a value that is not a reference is returned unchanged. */
export function dereferenced(document: JsonObject, value: Json | undefined): JsonObject | undefined {
  let found: Json | undefined = value;
  for (let hops = 0; isJsonObject(found) && typeof found.$ref === 'string'; hops++) {
    if (hops > MOST_LEVELS) throw new DocumentError(`has a circular reference: ${found.$ref}`);
    found = pointed(document, found.$ref);
  }
  return isJsonObject(found) ? found : undefined;
}

function pointed(document: JsonObject, reference: string): Json {
  if (!reference.startsWith('#/')) throw new DocumentError(`refers to "${reference}", which is outside the document`);
  let found: Json | undefined = document;
  for (const part of reference.slice(2).split('/')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isJsonObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  if (found === undefined) throw new DocumentError(`has nothing at "${reference}"`);
  return found;
}
