import { invalid } from '../definition/invalid.js';
import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { refusedForeign } from '../json-schema/index.js';
import type { ParameterLocations } from '../plan/agent.js';
import { httpPlan, type Method } from './http-tool.js';
import { mayBeList, whyNotInUrl } from './in-url.js';
import { DocumentError, dereferenced, plainSchema } from './openapi-schema.js';
import { checkKeys, type Tool, type ToolPolicy } from './tool.js';

const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * An operation of an OpenAPI document (3.0 or 3.1) as a tool. Its path and query parameters and its JSON body are the
 * arguments. The document is read immediately, so the plan holds everything that a call needs. Calls go to the pool's
 * endpoints; the document's `servers` are ignored.
 *
 * ```ts
 * const forecast = openapiTool({ document, operation: 'getForecast', service: 'weather-api' });
 * ```
 */
export function openapiTool(
  options: ToolPolicy & {
    /** The document as an object. */
    readonly document: object;
    /** Its `operationId`, or the method and the path: `GET /forecast/{city}`. */
    readonly operation: string;
    /** Name of the pool whose endpoints are base URLs. */
    readonly service: string;
    /** Default: the `operationId`. */
    readonly name?: string;
    /** Default: the operation's summary and description. */
    readonly description?: string;
  },
): Tool {
  const { document: given, operation, service, ...rest } = options;
  const document = given as JsonObject;
  checkKeys({ ...options, name: options.name ?? operation }, ['document', 'operation', 'service']);
  try {
    const { method, path, item, own } = found(document, operation);
    const id = typeof own.operationId === 'string' ? own.operationId : `${method}${path}`;
    const name = options.name ?? id.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^_+|_+$/g, '');
    const description = [own.summary, own.description].filter((text) => typeof text === 'string').join('. ');
    const { schema, places, commas } = argumentsOf(document, item, own);
    const policy = { ...rest, name, description: options.description ?? description };
    // Arguments written by the model are checked against the schema, and the document may come from a third party.
    const refused = refusedForeign([['', schema]]);
    if (refused) throw new DocumentError(`has an unsupported schema: ${refused.why}`);
    return { plan: httpPlan(policy, schema, { service, method, path, places, commas }), functions: new Map() };
  } catch (error) {
    if (error instanceof DocumentError) throw invalid(operation, error.message);
    throw error;
  }
}

interface Found {
  readonly method: Method;
  readonly path: string;
  readonly item: JsonObject;
  readonly own: JsonObject;
}

function found(document: JsonObject, operation: string): Found {
  const paths = isJsonObject(document?.paths) ? document.paths : {};
  const ids: string[] = [];
  for (const [path, value] of Object.entries(paths)) {
    const item = dereferenced(document, value) ?? {};
    for (const method of METHODS) {
      const own = dereferenced(document, item[method.toLowerCase()]);
      if (!own) continue;
      if (own.operationId === operation || `${method} ${path}` === operation) return { method, path, item, own };
      ids.push(typeof own.operationId === 'string' ? own.operationId : `${method} ${path}`);
    }
  }
  throw new DocumentError(`is not an operation of the document (operations: ${ids.join(', ') || 'none'})`);
}

/** The arguments as one object schema, and where each is sent. */
function argumentsOf(
  document: JsonObject,
  item: JsonObject,
  own: JsonObject,
): { schema: JsonObject; places: ParameterLocations; commas: readonly string[] } {
  const fields: Record<string, Json> = {};
  const required: string[] = [];
  const placed: { path: string[]; query: string[] } = { path: [], query: [] };
  const commas: string[] = [];
  for (const parameter of parametersOf(document, item, own)) {
    const { name, in: place, description, schema = {} } = parameter;
    if (typeof name !== 'string') throw new DocumentError('has a parameter without a name');
    if (place !== 'path' && place !== 'query') {
      if (parameter.required !== true) continue;
      throw new DocumentError(`requires "${name}" in the ${String(place)}, which a model cannot provide`);
    }
    const plain = plainSchema(document, schema) as JsonObject;
    const why = whyUnsent(parameter, plain, place);
    if (why !== undefined) {
      if (parameter.required !== true && place === 'query') continue;
      throw new DocumentError(`requires "${name}" in the ${place}, which ${why}`);
    }
    fields[name] = { ...(typeof description === 'string' && { description }), ...plain };
    if (parameter.required === true || place === 'path') required.push(name);
    placed[place].push(name);
    if (place === 'query' && parameter.explode === false) commas.push(name);
  }
  const body = bodyOf(document, own);
  let places: ParameterLocations = placed;
  if (body) {
    const inner = isJsonObject(body.schema.properties) ? body.schema.properties : undefined;
    const apart = inner && body.required && Object.keys(inner).every((name) => !Object.hasOwn(fields, name));
    if (apart) {
      Object.assign(fields, inner);
      required.push(...((body.schema.required ?? []) as readonly string[]));
    } else {
      const name = Object.hasOwn(fields, 'body') ? 'json_body' : 'body';
      fields[name] = body.schema;
      if (body.required) required.push(name);
      places = { ...placed, body: { of: name } };
    }
    if (apart) places = { ...placed, body: { rest: true } };
  }
  return { schema: { type: 'object', properties: fields, ...(required.length > 0 && { required }) }, places, commas };
}

/** Why a parameter cannot be sent. Styles of the query differ for lists only (OpenAPI 3.1, “Style Values”). */
function whyUnsent({ style, content }: JsonObject, schema: JsonObject, place: 'path' | 'query'): string | undefined {
  if (content !== undefined) return 'is a document of its own';
  const why = whyNotInUrl(schema, place);
  if (why !== undefined) return why;
  const usual = place === 'path' ? 'simple' : 'form';
  const differs = place === 'path' || mayBeList(schema);
  return style === undefined || style === usual || !differs ? undefined : `has the style ${String(style)}`;
}

/** Parameters of the operation and its path; the operation's take precedence. */
function parametersOf(document: JsonObject, item: JsonObject, own: JsonObject): readonly JsonObject[] {
  const all = [own.parameters, item.parameters].flatMap((list) =>
    Array.isArray(list) ? (list as readonly Json[]) : [],
  );
  const read = all.map((each) => dereferenced(document, each)).filter((each) => each !== undefined);
  return read.filter((each, i) => read.findIndex((other) => other.name === each.name && other.in === each.in) === i);
}

function bodyOf(document: JsonObject, own: JsonObject): { schema: JsonObject; required: boolean } | undefined {
  const body = dereferenced(document, own.requestBody);
  if (!body) return undefined;
  const content = isJsonObject(body.content) ? body.content : {};
  const [, media] = Object.entries(content).find(([type]) => /^application\/([\w.-]+\+)?json\b/.test(type)) ?? [];
  const required = body.required === true;
  if (!isJsonObject(media)) {
    if (!required) return undefined;
    throw new DocumentError(`takes ${Object.keys(content).join(', ') || 'a body without a type'}, not JSON`);
  }
  return { schema: plainSchema(document, media.schema ?? {}) as JsonObject, required };
}
