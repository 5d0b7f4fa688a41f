import type { OpenAI } from 'openai';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { isAtAzure } from './hosts.js';
import type { ServerSoftware } from './options.js';
import { closed, type SentSchema } from './structured.js';

/** What of JSON Schema a server takes with `strict: true`. It refuses a request with more. */
interface Subset {
  readonly keywords: ReadonlySet<string>;
  /** Most properties of all objects together. */
  readonly properties: number;
  /** Most objects and lists in each other. */
  readonly levels: number;
  /** Most values of all enums together, and most characters of one with more than 250. */
  readonly values: number;
  readonly longEnum: number;
  /** Most characters of the names of properties and definitions and of the values of `enum` and `const`, all together. */
  readonly characters: number;
}

const LONG_ENUM = 250;

const OF_EVERY = ['type', 'title', 'description', 'enum', 'const', 'anyOf', '$ref', '$defs', 'definitions'];
const OF_SHAPE = [...OF_EVERY, 'properties', 'required', 'additionalProperties', 'items'];
const OF_NUMBERS = ['multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'];

/** OpenAI, “Structured model outputs”, “Supported schemas”. */
const OPENAI: Subset = {
  keywords: new Set([...OF_SHAPE, ...OF_NUMBERS, 'pattern', 'format', 'minItems', 'maxItems']),
  properties: 5_000,
  levels: 10,
  values: 1_000,
  longEnum: 15_000,
  characters: 120_000,
};
const FORMATS: ReadonlySet<Json> = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uuid',
]);
/** Azure OpenAI, “Structured outputs”, “JSON Schema support and limitations”; the limits of enums and texts are OpenAI's first ones. */
const AZURE: Subset = {
  keywords: new Set(OF_SHAPE),
  properties: 100,
  levels: 5,
  values: 500,
  longEnum: 7_500,
  characters: 15_000,
};

/** Groups other than `(?:…)`, such as a look ahead, and references back: OpenAI's patterns have neither. */
const BEYOND_REGULAR = /\(\?(?!:)|\\[1-9k]/;

interface Server {
  readonly client: Pick<OpenAI, 'baseURL'>;
  readonly software: ServerSoftware;
}

/**
 * A schema as it is sent. One of a definition binds the model (`strict: true`) where the server takes it so: vLLM, SGLang and llama.cpp take
 * every schema; OpenAI and Azure take some, with every property required, and refuse the request otherwise. A server of unknown software is
 * treated as OpenAI, since it may be a router to it. What a model writes is checked in either case.
 * @param asked `strict` of a caller, which is passed on as it is
 */
export function sentTo(server: Server, schema: JsonObject, asked?: boolean): SentSchema {
  if (asked === false) return { strict: false, schema: schema as Record<string, unknown> };
  const shut = closed(schema) as JsonObject;
  return { strict: asked ?? takes(server, shut), schema: shut as Record<string, unknown> };
}

function takes({ client, software }: Server, schema: JsonObject): boolean {
  if (software !== 'other') return true;
  return isWithin(isAtAzure(client) ? AZURE : OPENAI, schema);
}

function isWithin(subset: Subset, root: JsonObject): boolean {
  const count = { properties: 0, values: 0, characters: 0 };

  const named = (schemas: Json | undefined, level: number): boolean => {
    if (schemas === undefined) return true;
    if (!isJsonObject(schemas)) return false;
    for (const name of Object.keys(schemas)) count.characters += name.length;
    return Object.values(schemas).every((each) => fits(each, level));
  };
  const oneOf = (values: Json | undefined): boolean => {
    if (values === undefined) return true;
    if (!Array.isArray(values)) return false;
    const characters: number = values.reduce((sum: number, each: Json) => sum + String(each).length, 0);
    count.values += values.length;
    count.characters += characters;
    return values.length <= LONG_ENUM || characters <= subset.longEnum;
  };
  const object = ({ properties, required = [], additionalProperties }: JsonObject, level: number): boolean => {
    if (additionalProperties !== false || !isJsonObject(properties) || !Array.isArray(required)) return false;
    const always = new Set<Json>(required);
    const names = new Set<Json>(Object.keys(properties));
    count.properties += names.size;
    const same = [...names].every((name) => always.has(name)) && [...always].every((name) => names.has(name));
    return same && named(properties, level + 1);
  };
  const fits = (schema: Json | undefined, level: number): boolean => {
    if (!isJsonObject(schema)) return false;
    if (schema.$ref !== undefined) return Object.keys(schema).length === 1;
    if (!Object.keys(schema).every((key) => subset.keywords.has(key))) return false;
    const { type, anyOf, enum: values, const: value, items, format, pattern, $defs, definitions } = schema;
    if (type === undefined && anyOf === undefined) return false;
    const types = Array.isArray(type) ? (type as readonly Json[]) : [type];
    if (level > subset.levels && (types.includes('object') || types.includes('array'))) return false;
    if (value !== undefined) count.characters += String(value).length;
    return (
      (anyOf === undefined || (Array.isArray(anyOf) && anyOf.every((each) => fits(each, level)))) &&
      (!types.includes('object') || object(schema, level)) &&
      (!types.includes('array') || fits(items, level + 1)) &&
      (format === undefined || FORMATS.has(format)) &&
      (pattern === undefined || !BEYOND_REGULAR.test(String(pattern))) &&
      oneOf(values) &&
      named($defs, 1) &&
      named(definitions, 1)
    );
  };

  return (
    root.type === 'object' &&
    root.anyOf === undefined &&
    fits(root, 1) &&
    count.properties <= subset.properties &&
    count.values <= subset.values &&
    count.characters <= subset.characters
  );
}
