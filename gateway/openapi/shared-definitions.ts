import { createHash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';

const DEFINITION = '#/$defs/';
const HASH_CHARACTERS = 8;

/**
 * Moves the definitions of schemas (recursive ones, such as any JSON) to components: within the document, their
 * `#/$defs/…` would refer to its root.
 * @param components receives the definitions, under names derived from their content
 */
export function shareDefinitions(node: Json, components: Record<string, Json>): Json {
  return walk(node, new Map(), components);
}

function walk(node: Json, names: ReadonlyMap<string, string>, components: Record<string, Json>): Json {
  if (Array.isArray(node)) return node.map((item: Json) => walk(item, names, components));
  if (!isJsonObject(node)) return node;
  const { $defs, ...rest } = node;
  if (isJsonObject($defs)) return walk(rest, share($defs, components), components);
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      const name = key === '$ref' && typeof value === 'string' ? names.get(value) : undefined;
      return [key, name === undefined ? walk(value as Json, names, components) : `#/components/schemas/${name}`];
    }),
  );
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
