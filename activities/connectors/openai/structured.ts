import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { compiled, fitted } from '../json-schema.js';

/**
 * The schema with every object closed to further properties, as `strict: true` requires at OpenAI and vLLM. Objects
 * that set `additionalProperties` themselves are left unchanged, and so are the parts of `allOf`, which would exclude
 * each other's properties.
 */
export function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isJsonObject(schema)) return schema;
  const copy: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (OF_SCHEMAS.has(key) && isJsonObject(value)) {
      copy[key] = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, closed(inner)]));
    } else copy[key] = IS_SCHEMA.has(key) ? closed(value) : value;
  }
  const open = schema.properties !== undefined && schema.additionalProperties === undefined && !schema.allOf;
  return open ? { ...copy, additionalProperties: false } : copy;
}

/** Keywords whose value is a schema or a list of schemas; keywords whose value maps names to schemas. */
const IS_SCHEMA: ReadonlySet<string> = new Set(['items', 'prefixItems', 'anyOf', 'oneOf', 'additionalProperties']);
const OF_SCHEMAS: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions']);

/** A schema as a request has it. `strict`: the server is to hold the model to it. */
export interface SentSchema {
  readonly strict: boolean;
  readonly schema: Record<string, unknown>;
}

/**
 * `response_format` that binds a reply to a schema. The name is for the server's log. Throws `INVALID_PIPELINE` for a
 * schema that no reply could be checked against, before the call, which costs money.
 * @param sent the schema for the server. Absent: closed, for one that every server takes with `strict: true`
 */
export function boundTo(
  schema: JsonObject,
  sent: SentSchema = { strict: true, schema: closed(schema) as Record<string, unknown> },
) {
  compiled(schema);
  return { response_format: { type: 'json_schema' as const, json_schema: { name: 'reply', ...sent } } };
}

/**
 * A reply's text as JSON that fits the schema, with its defaults filled in. Some servers do not bind the reply, so it
 * is checked: `INVALID_OUTPUT`, or `LENGTH` for one that was cut off.
 */
export function readStructured(text: string, schema: JsonObject, finish: string | undefined): Json {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    const cut = finish === 'length';
    const why = cut ? 'was cut off at its token limit' : 'is not JSON';
    throw new MillraceError(
      cut ? 'LENGTH' : 'INVALID_OUTPUT',
      `the reply ${why}, but a schema binds it: ${start(text)}`,
    );
  }
  const fit = fitted(value, schema);
  if ('data' in fit) return fit.data;
  throw new MillraceError('INVALID_OUTPUT', `the reply does not fit its schema: ${fit.summary}`, {
    fields: fit.fields,
  });
}

/** The reply's text as JSON if it fits the schema. */
export function structuredIfFits(text: string, schema: JsonObject): Json | undefined {
  try {
    const fit = fitted(JSON.parse(text), schema);
    return 'data' in fit ? fit.data : undefined;
  } catch {
    return undefined;
  }
}

/** Enough to show what the model wrote. */
const LONGEST_START = 80;
const start = (text: string): string =>
  JSON.stringify(text.length > LONGEST_START ? `${text.slice(0, LONGEST_START)}…` : text);
