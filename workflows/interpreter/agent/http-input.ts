import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { ParameterLocations } from '../../../pipelines/plan/index.js';

/** Input of an `http` call with a tool's arguments at their parameter locations. Arguments omitted by the model stay omitted. */
export function httpInput({ path, query, body }: ParameterLocations, given: JsonObject): JsonObject {
  const pick = (names: readonly string[]): JsonObject =>
    Object.fromEntries(names.flatMap((name) => (name in given ? [[name, given[name] as Json] as const] : [])));
  const placed = new Set([...path, ...query]);
  const rest = Object.fromEntries(Object.entries(given).filter(([name]) => !placed.has(name)));
  const sent = body && ('rest' in body ? rest : given[body.of]);
  return { path: pick(path), query: pick(query), ...(sent !== undefined && { body: sent }) };
}
