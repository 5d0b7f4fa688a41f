import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { readSchema, TooCostlyError } from '../../../../pipelines/json-schema/index.js';
import { leastCpuMs } from '../../../support/cpu-time.js';

const fitOf = (schema: Json, value: Json) => readSchema(schema).fit(value);
const of = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input' }) as unknown as JsonObject;

describe('defaults', () => {
  it.each<[string, z.ZodType, Json, Json]>([
    ['of fields', z.object({ a: z.string().default('x'), b: z.number() }), { b: 1 }, { a: 'x', b: 1 }],
    [
      'in a list',
      z.array(z.object({ a: z.array(z.string()).default([]) })),
      [{}, { a: ['y'] }],
      [{ a: [] }, { a: ['y'] }],
    ],
    [
      'of the alternative that fits, not of one that was tried before it',
      z.union([
        z.object({ a: z.string().default('x'), k: z.literal('1') }),
        z.object({ b: z.string().default('y'), k: z.literal('2') }),
      ]),
      { k: '2' },
      { b: 'y', k: '2' },
    ],
    ['that are null', z.object({ a: z.string().nullable().default(null) }), {}, { a: null }],
  ])('%s are filled in', (_, schema, given, whole) => {
    const before = structuredClone(given);
    expect(fitOf(of(schema), given)).toEqual({ data: whole });
    expect(given).toEqual(before);
  });

  it('are filled in under any name', () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"default":{"polluted":true}}}}') as JsonObject;
    const { data } = fitOf(schema, {}) as { data: object };
    expect(Object.hasOwn(data, '__proto__')).toBe(true);
    expect((data as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('what is wrong', () => {
  it('is told by its path, all of it', () => {
    const schema = of(z.object({ a: z.object({ b: z.array(z.number()) }), c: z.string() }));
    expect(fitOf(schema, { a: { b: [1, 'x', true] } })).toEqual({
      fields: [
        { field: 'c', message: 'is required' },
        { field: 'a.b.1', message: 'must be a number, not a string' },
        { field: 'a.b.2', message: 'must be a number, not a boolean' },
      ],
    });
  });

  it('with alternatives is told of the one that was meant', () => {
    const schema = of(z.union([z.null(), z.object({ a: z.object({ b: z.int().max(3) }) })]));
    expect(fitOf(schema, { a: { b: 7 } })).toEqual({
      fields: [{ field: '', message: 'fits none of its 2 alternatives; the closest: a.b: must be at most 3' }],
    });
  });

  it('in more than a hundred places is told of the first', () => {
    const { fields } = fitOf(
      { items: { type: 'string' } },
      Array.from({ length: 1_000 }, () => 1),
    ) as unknown as { fields: Json[] };
    expect(fields).toHaveLength(20);
  });
});

/** Several times what a check takes, and far below what these took with a backtracking engine: for ever. */
const SOON_MS = 2_000;

const nested = (levels: number, of: Json = {}): Json => {
  let value = of;
  for (let i = 0; i < levels; i++) value = { a: value };
  return value;
};

/** An object of so many fields with one value. */
const fieldsOf = (count: number, value: Json): JsonObject =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, value]));
const times = (count: number, each: Json): Json[] => Array.from({ length: count }, () => each);
/** References one behind the other, to a schema that fits all objects. */
const chained = (count: number): Json => ({
  $defs: Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `n${i}`,
      i + 1 < count ? { $ref: `#/$defs/n${i + 1}` } : { additionalProperties: true },
    ]),
  ),
  $ref: '#/$defs/n0',
  unevaluatedProperties: false,
});

describe('a check ends', () => {
  it.each<[string, Json, Json]>([
    ['a pattern that backtracks', { pattern: '^(a+)+$' }, `${'a'.repeat(50_000)}!`],
    ['a pattern that backtracks in a name', { patternProperties: { '^(a|a)*$': {} } }, { [`${'a'.repeat(40)}!`]: 1 }],
    [
      'items that are to be unique',
      { uniqueItems: true },
      Array.from({ length: 20_000 }, (_, i) => ({ a: { b: 'c', i } })),
    ],
    [
      'a large enum',
      { items: { enum: Array.from({ length: 5_000 }, (_, i) => ({ i })) } },
      Array.from({ length: 5_000 }, (_, i) => ({ i })),
    ],
    ['a type that is named often', { items: { type: times(29_000, 'string') } }, many(40_000)],
    ['fields that need none beside them', { items: { dependentRequired: fieldsOf(29_000, []) } }, times(40_000, {})],
    [
      'lengths that a long text is far from',
      { allOf: times(4_000, { minLength: 1, maxLength: 9_000_000 }) },
      'x'.repeat(100_000),
    ],
  ])('soon, for %s', (_, schema, value) => {
    const ms = leastCpuMs(SOON_MS, () => fitOf(schema, value));
    expect(ms).toBeLessThan(SOON_MS);
  });

  it.each<[string, Json, Json]>([
    [
      'alternatives of alternatives, all the way down',
      {
        $defs: { n: { properties: { a: { anyOf: [{ $ref: '#/$defs/n' }, { $ref: '#/$defs/n' }] } }, required: ['a'] } },
        $ref: '#/$defs/n',
      },
      nested(100),
    ],
    ['a pattern that is heavy for a long text', { pattern: '^(x|y)*x(x|y){200}$' }, 'xy'.repeat(20_000)],
    [
      'many checks of many items',
      { items: { allOf: Array.from({ length: 200 }, () => ({ minimum: 0 })) } },
      many(20_000),
    ],
    [
      'what fields that are not there would need',
      { items: { dependentRequired: fieldsOf(29_000, ['b']) } },
      times(40_000, {}),
    ],
    ['schemas of fields that are not there', { items: { dependentSchemas: fieldsOf(29_000, {}) } }, times(40_000, {})],
    ['dependencies of fields that are not there', { items: { dependencies: fieldsOf(29_000, {}) } }, times(40_000, {})],
    ['lengths of a long text', { allOf: times(4_000, { minLength: 60_000, maxLength: 90_000 }) }, 'x'.repeat(100_000)],
    ['numbers of many fields', { allOf: times(2_000, { maxProperties: 9_000_000 }) }, fieldsOf(100_000, 1)],
    ['constants that a long list is compared with', { allOf: times(2_000, { const: [1] }) }, times(100_000, {})],
    [
      'a long default of many fields',
      { items: { properties: { a: { default: many(29_000) } } } },
      // Each an object of its own: a copy would share one that is there a thousand times.
      Array.from({ length: 1_000 }, () => ({})),
    ],
    ['fields that many schemas have seen', chained(500), fieldsOf(100_000, 1)],
  ])('as too costly, for %s', (_, schema, value) => {
    expect(leastCpuMs(SOON_MS, () => expect(() => fitOf(schema, value)).toThrow(TooCostlyError))).toBeLessThan(SOON_MS);
  });

  it('for a value that is nested without end', () => {
    const deep = JSON.parse(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) as Json;
    expect(fitOf({ items: { $ref: '#' }, uniqueItems: true }, deep)).toEqual({
      fields: [{ field: '', message: 'is too large or nested too deeply' }],
    });
  });
});

function many(items: number): Json {
  return Array.from({ length: items }, (_, i) => i);
}
