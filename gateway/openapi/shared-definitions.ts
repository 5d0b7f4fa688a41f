import { createHash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mapSubschemas } from '../../pipelines/json-schema/map-subschemas.js';

const DEFINITION = '#/$defs/';
const HASH_CHARACTERS = 8;

/**
 * Moves the definitions of a schema (recursive ones, such as any JSON) to components: within the document, their
 * `#/$defs/…` would refer to its root.
 * @param components receives the definitions, under names derived from their content
 */
export function shareDefinitions(schema: Json, components: Record<string, Json>): Json {
  return walk(schema, new Map(), components);
}

/** The same for all schemas of a part of the document. */
export function shareAllDefinitions(node: Json, components: Record<string, Json>): Json {
  if (Array.isArray(node)) return node.map((item: Json) => shareAllDefinitions(item, components));
  if (!isJsonObject(node)) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (key === 'example') return [key, value];
      return [key, key === 'schema' ? shareDefinitions(value, components) : shareAllDefinitions(value, components)];
    }),
  );
}

function walk(node: Json, names: ReadonlyMap<string, string>, components: Record<string, Json>): Json {
  if (!isJsonObject(node)) return node;
  const { $defs, ...rest } = node;
  if (isJsonObject($defs)) return walk(rest, share($defs, components), components);
  const name = typeof node.$ref === 'string' ? names.get(node.$ref) : undefined;
  const own = name === undefined ? node : { ...node, $ref: `#/components/schemas/${name}` };
  return mapSubschemas(own, (schema) => walk(schema, names, components));
}

/** Adds the definitions to the components. Returns the component of each reference. */
function share(definitions: JsonObject, components: Record<string, Json>): ReadonlyMap<string, string> {
  // All together, since they refer to each other; equal definitions of several pipelines share components.
  const hash = createHash('sha256').update(JSON.stringify(definitions)).digest('hex').slice(0, HASH_CHARACTERS);
  const each = Object.entries(definitions).map(([key, schema], i) => ({ key, schema, name: `Schema${i}_${hash}` }));
  const names = new Map(each.map(({ key, name }) => [`${DEFINITION}${key}`, name]));
  for (const { name, schema } of each) components[name] ??= walk(schema as Json, names, components);
  return names;
}
