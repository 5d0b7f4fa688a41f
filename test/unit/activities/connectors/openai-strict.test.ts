import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ServerSoftware } from '../../../../activities/connectors/openai/options.js';
import { sentTo } from '../../../../activities/connectors/openai/strict.js';
import type { JsonObject } from '../../../../pipelines/json.js';

const OPENAI = 'https://api.openai.com/v1';
const AZURE = 'https://mine.openai.azure.com/openai/v1';
const AZURE_US = 'https://mine.openai.azure.us/openai/v1';
const ROUTER = 'http://router:4000/v1';

const json = (schema: z.ZodType): JsonObject => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest as JsonObject;
};
const strictAt = (baseURL: string, schema: JsonObject, software: ServerSoftware = 'other') =>
  sentTo({ client: { baseURL }, software }, schema).strict;

const Tree = z.object({
  value: z.number(),
  get children() {
    return z.array(Tree);
  },
});
const nested = (levels: number): z.ZodType => (levels === 1 ? z.object({}) : z.object({ a: nested(levels - 1) }));
const wide = (properties: number) =>
  z.object(Object.fromEntries(Array.from({ length: properties }, (_, i) => [`p${i}`, z.string()])));
const choices = (values: number) => z.object({ a: z.enum(Array.from({ length: values }, (_, i) => `v${i}`)) });

const withA = (a: JsonObject): JsonObject => ({ type: 'object', properties: { a }, required: ['a'] });

const OPTIONAL = json(z.object({ a: z.string(), b: z.string().optional() }));

describe('the schema of a definition, as it is sent', () => {
  it.each<[string, z.ZodType]>([
    ['every property required', z.object({ a: z.string(), b: z.object({ c: z.boolean() }) })],
    ['null in place of an optional property', z.object({ a: z.string().nullable() })],
    ['choices', z.object({ a: z.enum(['x', 'y']), b: z.literal('z') })],
    ['a union in it', z.object({ a: z.union([z.object({ b: z.string() }), z.array(z.string())]) })],
    ['recursion', Tree],
    ['a description', z.object({ a: z.string().describe('Its name') })],
    ['no properties', z.object({})],
  ])('binds at OpenAI and Azure with %s', (_, schema) => {
    for (const server of [OPENAI, AZURE, ROUTER]) expect(strictAt(server, json(schema))).toBe(true);
  });

  it.each<[string, JsonObject]>([
    ['an optional property', OPTIONAL],
    ['a default', json(z.object({ a: z.string().default('x') }))],
    ['an optional property in a list', json(z.object({ a: z.array(z.object({ b: z.string().optional() })) }))],
    ['a record', json(z.object({ a: z.record(z.string(), z.number()) }))],
    ['an open object', json(z.looseObject({ a: z.string() }))],
    ['a tuple', json(z.object({ a: z.tuple([z.string(), z.number()]) }))],
    ['any value', json(z.object({ a: z.json() }))],
    ['a length', json(z.object({ a: z.string().max(3) }))],
    ['a format that it does not know', json(z.object({ a: z.url() }))],
    ['a pattern that looks ahead', withA({ type: 'string', pattern: '^(?!x)' })],
    ['a union at its root', json(z.union([z.object({ a: z.string() }), z.object({ b: z.string() })]))],
    ['an intersection', withA({ allOf: [{ type: 'object' }] })],
    ['no word on its properties', { type: 'object' }],
    ['a required property that it does not have', { ...withA({ type: 'string' }), required: ['a', 'b'] }],
    ['a reference with a description', withA({ $ref: '#', description: 'x' })],
    ['more levels than ten', json(nested(11))],
    ['more choices than a thousand', json(choices(1_001))],
  ])('does not bind there with %s', (_, schema) => {
    for (const server of [OPENAI, AZURE, ROUTER]) expect(strictAt(server, schema)).toBe(false);
  });

  it.each<[string, z.ZodType]>([
    ['limits of a number', z.object({ a: z.int().min(1).max(9) })],
    ['limits of a list', z.object({ a: z.array(z.string()).max(3) })],
    ['a pattern', z.object({ a: z.string().regex(/^[a-z]+$/) })],
    ['a date', z.object({ a: z.string().meta({ format: 'date' }) })],
    ['ten levels', nested(10)],
    ['more properties than a hundred', wide(101)],
  ])('binds at OpenAI and not at Azure with %s', (_, schema) => {
    expect(strictAt(OPENAI, json(schema))).toBe(true);
    expect(strictAt(AZURE, json(schema))).toBe(false);
    expect(strictAt(AZURE_US, json(schema))).toBe(false);
  });

  it.each(['vllm', 'sglang', 'llama.cpp', 'triton'] as const)('binds at %s always', (software) => {
    expect(strictAt(ROUTER, OPTIONAL, software)).toBe(true);
    expect(strictAt(ROUTER, { type: 'object' }, software)).toBe(true);
  });

  it('is closed whether it binds or not', () => {
    const sent = sentTo({ client: { baseURL: OPENAI }, software: 'other' }, OPTIONAL);
    expect(sent).toEqual({ strict: false, schema: { ...OPTIONAL, additionalProperties: false } });
  });

  it('of a caller is sent as the caller says', () => {
    const server = { client: { baseURL: OPENAI }, software: 'other' } as const;
    expect(sentTo(server, OPTIONAL, false)).toEqual({ strict: false, schema: OPTIONAL });
    expect(sentTo(server, OPTIONAL, true)).toMatchObject({ strict: true, schema: { additionalProperties: false } });
  });
});
