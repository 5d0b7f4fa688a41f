import { isJsonObject, type Json, type JsonObject } from '../json.js';

/** Most schemas that are read of one: a schema may refer to itself. What is beyond them counts as if it had a form. */
const MOST = 1_000;

/**
 * Why no value of this schema has a form in a URL: objects, lists in the path, and lists of objects or lists have none. Undefined for all
 * others: a list in the query repeats its name, null is left out, and of a union some values may have one. The call fails for the others.
 * @param root where references within the schema (`#/$defs/…`) are looked up; others are not followed
 */
export function whyNotInUrl(
  schema: Json | undefined,
  place: 'path' | 'query',
  root: JsonObject = {},
): string | undefined {
  let left = MOST;

  function why(part: Json | undefined, inList: boolean): string | undefined {
    left -= 1;
    if (!isJsonObject(part) || left < 0) return undefined;
    const own = ownOf(part, inList);
    if (own !== undefined) return own;
    const all = [...listOf(part.allOf), ...(typeof part.$ref === 'string' ? [pointed(root, part.$ref)] : [])];
    for (const each of all) {
      const found = why(each, inList);
      if (found !== undefined) return found;
    }
    for (const union of [listOf(part.anyOf), listOf(part.oneOf)]) {
      const [first, ...others] = union.map((each) => why(each, inList));
      if (first !== undefined && others.every((other) => other !== undefined)) return first;
    }
    return undefined;
  }

  /** Without those that it joins. */
  function ownOf(part: JsonObject, inList: boolean): string | undefined {
    const types = typesOf(part);
    if (types.length === 0) return undefined;
    const reasons = types.map((type) => {
      if (type === 'object') return inList ? LISTED : 'is an object';
      if (type !== 'array') return undefined;
      if (inList) return LISTED;
      if (place === 'path') return 'is a list';
      const items = [part.items, ...listOf(part.prefixItems)];
      return items.map((item) => why(item, true)).find((each) => each !== undefined);
    });
    return reasons.every((reason) => reason !== undefined) ? reasons[0] : undefined;
  }

  return why(schema, false);
}

/** Whether a value of this schema may be a list. */
export const mayBeList = (schema: Json | undefined): boolean =>
  isJsonObject(schema) &&
  (typesOf(schema).includes('array') || JOINED.some((key) => listOf(schema[key]).some(mayBeList)));

const JOINED = ['anyOf', 'oneOf', 'allOf'] as const;
const LISTED = 'is a list of objects or lists';

/** The types that its values may have, as far as it says so. */
function typesOf({ type, properties, items }: JsonObject): readonly Json[] {
  if (type !== undefined) return Array.isArray(type) ? (type as readonly Json[]) : [type];
  if (properties !== undefined) return ['object'];
  return items === undefined ? [] : ['array'];
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

/** What a reference within the schema points to. */
function pointed(root: JsonObject, reference: string): Json | undefined {
  if (!reference.startsWith('#')) return undefined;
  let found: Json | undefined = root;
  for (const key of reference.split('/').slice(1)) {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return found;
}
