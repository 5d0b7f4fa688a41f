import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { ParameterLocations } from '../../../pipelines/plan/index.js';

/**
 * Input of an `http` call with a tool's arguments at their parameter locations. Arguments omitted by the model stay omitted, and null, which no URL
 * can hold, is omitted from path and query.
 */
export function httpInput({ path, query, body }: ParameterLocations, given: JsonObject): JsonObject {
  const givenOf = (name: string): Json => withoutNull(Object.hasOwn(given, name) ? (given[name] ?? null) : null);
  const pick = (names: readonly string[]): JsonObject =>
    Object.fromEntries(names.map((name) => [name, givenOf(name)] as const).filter(([, value]) => value !== null));
  const placed = new Set([...path, ...query]);
  const rest = Object.fromEntries(Object.entries(given).filter(([name]) => !placed.has(name)));
  const sent = body && ('rest' in body ? rest : given[body.of]);
  return { path: pick(path), query: pick(query), ...(sent !== undefined && { body: sent }) };
}

const withoutNull = (value: Json): Json => (Array.isArray(value) ? value.filter((each) => each !== null) : value);
