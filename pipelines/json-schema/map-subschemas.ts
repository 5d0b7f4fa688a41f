import { isJsonObject, type Json, type JsonObject } from '../json.js';

/** Keywords whose value is a schema or a list of schemas. */
const SCHEMAS: ReadonlySet<string> = new Set([
  'additionalItems',
  'additionalProperties',
  'allOf',
  'anyOf',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'oneOf',
  'prefixItems',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
]);

/** Keywords whose value has schemas by name: of a field, a pattern, a definition. */
const BY_NAME: ReadonlySet<string> = new Set([
  '$defs',
  'definitions',
  'dependencies',
  'dependentSchemas',
  'patternProperties',
  'properties',
]);

/**
 * A schema with each schema directly below it replaced. Names of fields are no keywords, and the values of `const`,
 * `default`, `enum` and `examples` are no schemas: both stay as they are.
 */
export const mapSubschemas = (schema: JsonObject, replace: (schema: Json) => Json): JsonObject =>
  Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, below(keyword, value, replace)]));

function below(keyword: string, value: Json, replace: (schema: Json) => Json): Json {
  if (SCHEMAS.has(keyword)) return Array.isArray(value) ? value.map((each: Json) => replace(each)) : replace(value);
  if (!BY_NAME.has(keyword) || !isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, replace(schema)]));
}
