import { isJsonObject, type Json, type JsonObject } from '../json.js';

const JOINED = ['anyOf', 'oneOf', 'allOf'] as const;

/**
 * Why an argument with this schema has no form in a URL: objects, lists in the path, and lists of objects or lists.
 * Undefined for all others: a list in the query repeats its name.
 */
export function whyNotInUrl(schema: Json | undefined, place: 'path' | 'query'): string | undefined {
  const parts = partsOf(schema);
  if (parts.some(isObject)) return 'is an object';
  const lists = parts.filter(isList);
  if (lists.length === 0) return undefined;
  if (place === 'path') return 'is a list';
  const items = lists.flatMap((list) => [list.items, ...listOf(list.prefixItems)]).flatMap(partsOf);
  return items.some((each) => isObject(each) || isList(each)) ? 'is a list of objects or lists' : undefined;
}

/** The schema with those of which it is a union or an intersection. */
function partsOf(schema: Json | undefined): readonly JsonObject[] {
  if (!isJsonObject(schema)) return [];
  return [schema, ...JOINED.flatMap((key) => listOf(schema[key]).flatMap(partsOf))];
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

const isOf = ({ type }: JsonObject, name: string): boolean => type === name || listOf(type).includes(name);
const isObject = (schema: JsonObject): boolean => isOf(schema, 'object') || schema.properties !== undefined;
const isList = (schema: JsonObject): boolean => isOf(schema, 'array') || schema.items !== undefined;
