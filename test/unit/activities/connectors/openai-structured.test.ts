import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { closed, readStructured } from '../../../../activities/connectors/openai/structured.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { leastCpuMs } from '../../../support/cpu-time.js';

const json = (schema: z.ZodType): JsonObject => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest as JsonObject;
};

const Tree = z.object({
  value: z.number(),
  get children() {
    return z.array(Tree).optional();
  },
});

describe('closed schemas', () => {
  /** Every object schema with properties of its own that is still open. */
  const open = (schema: Json): number =>
    Array.isArray(schema)
      ? schema.reduce((sum: number, each) => sum + open(each), 0)
      : typeof schema === 'object' && schema !== null
        ? Object.values(schema as JsonObject).reduce((sum: number, each) => sum + open(each), 0) +
          Number('properties' in schema && !('additionalProperties' in schema))
        : 0;

  it.each([
    ['nested', z.object({ a: z.object({ b: z.string() }) })],
    ['in a list', z.object({ a: z.array(z.object({ b: z.string() })) })],
    ['in a union', z.union([z.object({ a: z.string() }), z.object({ b: z.string() })])],
    ['in a tuple', z.tuple([z.object({ a: z.string() })])],
    ['as the values of a record', z.record(z.string(), z.object({ a: z.string() }))],
    ['by reference', z.object({ a: z.object({ b: z.string() }).meta({ id: 'B' }) })],
    ['recursive', Tree],
  ])('objects %s', (_, schema) => {
    expect(open(json(schema))).toBeGreaterThan(0);
    expect(open(closed(json(schema)))).toBe(0);
  });

  it('leave what an object says of further properties', () => {
    expect(closed(json(z.looseObject({ a: z.string() })))).toEqual(json(z.looseObject({ a: z.string() })));
    expect(closed(json(z.record(z.string(), z.number())))).toEqual(json(z.record(z.string(), z.number())));
  });

  it('leave a property that is called like a keyword', () => {
    const schema = json(z.object({ properties: z.string(), items: z.number() }));
    expect(closed(schema)).toEqual({ ...schema, additionalProperties: false });
  });

  it('leave the parts of an intersection, which would close each other out', () => {
    const schema: JsonObject = {
      allOf: [
        { type: 'object', properties: { a: { type: 'string' } } },
        { type: 'object', properties: { b: { type: 'string' } } },
      ],
    };
    expect(closed(schema)).toEqual(schema);
  });

  it('leave values that only look like a schema', () => {
    const schema: JsonObject = { const: { properties: { a: 1 } }, enum: [{ properties: {} }] };
    expect(closed(schema)).toEqual(schema);
  });
});

describe('a structured reply', () => {
  const read = (schema: z.ZodType, value: unknown) =>
    readStructured(JSON.stringify(value), json(schema), 'stop') as unknown;

  it.each<[string, z.ZodType, unknown, unknown]>([
    ['an object', z.object({ a: z.string() }), { a: 'x' }, { a: 1 }],
    ['a limit', z.object({ a: z.int().min(1).max(3) }), { a: 3 }, { a: 4 }],
    ['an enum', z.enum(['a', 'b']), 'a', 'c'],
    ['a list', z.array(z.string()).max(2), ['x'], ['x', 'y', 'z']],
    ['null', z.object({ a: z.string().nullable() }), { a: null }, {}],
    ['a record', z.record(z.string(), z.number()), { a: 1 }, { a: 'x' }],
    ['a tuple', z.tuple([z.string(), z.number()]), ['x', 1], [1, 'x']],
    ['a pattern', z.string().regex(/^[a-z]+$/), 'abc', 'ABC'],
    ['a format', z.object({ a: z.iso.date() }), { a: '2024-02-29' }, { a: '2023-02-29' }],
    [
      'kinds told apart',
      z.discriminatedUnion('k', [
        z.object({ k: z.literal('a'), x: z.number() }),
        z.object({ k: z.literal('b'), y: z.string() }),
      ]),
      { k: 'b', y: 'x' },
      { k: 'b', x: 1 },
    ],
    ['recursion', Tree, { value: 1, children: [{ value: 2 }] }, { value: 1, children: [{ value: 'two' }] }],
  ])('with %s', (_, schema, good, bad) => {
    expect(read(schema, good)).toEqual(good);
    expect(() => read(schema, bad)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT' }));
  });

  it('names the fields that are wrong', () => {
    const schema = z.object({ a: z.object({ b: z.array(z.number()) }) });
    expect(() => read(schema, { a: { b: [1, 'x'] } })).toThrow(
      expect.objectContaining({ details: { fields: [expect.objectContaining({ field: 'a.b.1' })] } }),
    );
  });

  it('is checked in linear time by a pattern that backtracks', () => {
    const schema = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
    const text = JSON.stringify({ a: `${'a'.repeat(5_000)}!` });
    const refused = expect.objectContaining({ code: 'INVALID_OUTPUT' });
    const tookMs = leastCpuMs(1_000, () => expect(() => readStructured(text, schema, 'stop')).toThrow(refused));
    expect(tookMs).toBeLessThan(1_000);
  });

  it('that takes too many steps to check is CHECK_TOO_COSTLY', () => {
    const schema = { type: 'array', items: { type: 'string', pattern: '^(a|b)*a(a|b){100}$' } };
    const value = Array.from({ length: 200 }, () => 'ab'.repeat(100));
    expect(() => readStructured(JSON.stringify(value), schema, 'stop')).toThrow(
      expect.objectContaining({ code: 'CHECK_TOO_COSTLY' }),
    );
  });

  it('may be one of two schemas that share an id', () => {
    const named = (schema: z.ZodType) => ({ ...json(z.object({ a: schema })), id: 'Same' });
    expect(readStructured('{"a":1}', named(z.number()), 'stop')).toEqual({ a: 1 });
    expect(readStructured('{"a":"x"}', named(z.string()), 'stop')).toEqual({ a: 'x' });
  });

  it('of a schema that nobody can read is INVALID_PIPELINE', () => {
    expect(() => readStructured('1', { $ref: '#/nowhere' }, 'stop')).toThrow(
      expect.objectContaining({ code: 'INVALID_PIPELINE' }),
    );
  });
});
