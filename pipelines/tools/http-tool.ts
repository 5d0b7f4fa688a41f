import type { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { isJsonObject, type JsonObject } from '../json.js';
import type { ParameterLocations, StageTool } from '../plan/agent.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import { whyNotInUrl } from './in-url.js';
import { checkKeys, offered, type Tool, type ToolOptions } from './tool.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Idempotent methods. The others are attempted once, unless `retry` allows more. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'PUT', 'DELETE']);

/**
 * Calls a JSON API whose base URL is a pool's endpoint. Arguments named in the path fill it; the others become the
 * query for `GET` and `DELETE`, in which a list repeats its name and null is left out, and the JSON body for other
 * methods. The response body is the result. All attempts of a call send the same `Idempotency-Key`. An optional
 * field of the query that has no form there, such as an object, is left out; throws `INVALID_PIPELINE` for a required one, and for one in the path.
 */
export function httpTool(
  options: ToolOptions<z.ZodObject> & {
    /** Name of the pool. */
    readonly service: string;
    /** Default `GET`. */
    readonly method?: Method;
    /** Path below the base URL, e.g. `/v1/forecast/{city}`. */
    readonly path: string;
  },
): Tool {
  const { name, input, service, method = 'GET', path } = options;
  checkKeys(options, ['input', 'service', 'method', 'path']);
  const fields = Object.keys(input?.shape ?? {});
  const inPath = namesIn(path);
  const missing = inPath.find((each) => !fields.includes(each));
  if (missing !== undefined) throw invalid(`${name}.path`, `names {${missing}}, which is not a field of the input`);
  const rest = fields.filter((field) => !inPath.includes(field));
  const inQuery = method === 'GET' || method === 'DELETE';
  const schema = jsonSchemaOf(input, `${name}.input`);
  const unsent = fields.filter((field) => {
    const place = inPath.includes(field) ? 'path' : 'query';
    if (place === 'query' && !inQuery) return false;
    const why = whyNotInUrl(propertiesOf(schema)[field], place, schema);
    if (why === undefined) return false;
    if (place === 'query' && !isRequired(schema, field)) return true;
    throw invalid(`${name}.input.${field}`, `${why}, which has no form in a ${place}`);
  });
  const places: ParameterLocations = inQuery
    ? { path: inPath, query: rest.filter((field) => !unsent.includes(field)) }
    : { path: inPath, query: [], ...(rest.length > 0 && { body: { rest: true } }) };
  const call = { service, method, path, places };
  return { plan: httpPlan(options, without(schema, unsent), call), functions: new Map() };
}

const propertiesOf = ({ properties }: JsonObject): JsonObject => (isJsonObject(properties) ? properties : {});

const isRequired = ({ required }: JsonObject, field: string): boolean =>
  Array.isArray(required) && required.includes(field);

function without(schema: JsonObject, fields: readonly string[]): JsonObject {
  if (fields.length === 0) return schema;
  const left = Object.entries(propertiesOf(schema)).filter(([field]) => !fields.includes(field));
  return { ...schema, properties: Object.fromEntries(left) };
}

/** Names of the `{name}` parts of a path. */
export const namesIn = (path: string): string[] =>
  [...String(path).matchAll(/\{([^{}]+)\}/g)].map(([, name]) => name as string);

export function httpPlan(
  options: Parameters<typeof offered>[0],
  schema: StageTool['schema'],
  call: {
    readonly service: string;
    readonly method: Method;
    readonly path: string;
    readonly places: ParameterLocations;
    /** Lists in the query that are one value with commas. */
    readonly commas?: readonly string[];
  },
): StageTool {
  const { service, method, path, places, commas = [] } = call;
  const usual = REPEATABLE.has(method) ? {} : { retry: { attempts: 1 } };
  return {
    ...offered(options, schema, usual),
    by: 'stage',
    kind: 'http',
    model: service,
    with: { method, path, ...(commas.length > 0 && { commas }) },
    places,
    result: 'body',
  };
}
