import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { refusedForeign } from '../../../../pipelines/json-schema/index.js';
import { chatKind } from '../../../../pipelines/stages/chat.js';
import { leastCpuMs } from '../../../support/cpu-time.js';

const why = (schema: Json) => refusedForeign([['it', schema]])?.why;

const times = <Item>(count: number, of: (i: number) => Item): Item[] => Array.from({ length: count }, (_, i) => of(i));
const named = (count: number, of: (i: number) => unknown): Json =>
  Object.fromEntries(times(count, (i) => [`p${i}`, of(i)])) as Json;

function nested(levels: number): Json {
  let schema: Json = {};
  for (let i = 0; i < levels; i++) schema = { items: schema };
  return schema;
}

/** Each level holds the next one twice: 2 to the power of the levels, references followed. */
const doubling = (levels: number): Json => ({
  $ref: '#/$defs/p0',
  $defs: {
    ...(named(levels, (i) => ({
      allOf: [{ $ref: `#/$defs/p${i + 1}` }, { $ref: `#/$defs/p${i + 1}` }],
    })) as JsonObject),
    [`p${levels}`]: {},
  },
});

describe('a schema of a stranger', () => {
  it.each<[string, Json, RegExp]>([
    ['nests too deeply', nested(100), /more than 64 levels/],
    ['nests so deeply that a reader would overflow', nested(50_000), /more than 64 levels/],
    ['has too many values', { enum: times(40_000, (i) => i) }, /30000/],
    ['has too much text', { description: 'x'.repeat(300_000) }, /262144 characters/],
    ['has too many schemas', { properties: named(5_100, () => ({})) }, /exceeds the limit of 5000 schemas/],
    ['has too many references', { $defs: named(1_100, () => ({ $ref: '#' })) }, /exceeds the limit of 1000 references/],
    ['has a large enum', { enum: times(6_000, (i) => i) }, /exceeds the limit of 5000 values/],
    ['has many alternatives', { anyOf: times(600, () => ({})) }, /more than 500 schemas/],
    ['doubles by references', doubling(40), /more than 2000 schemas to one value/],
    ['refers to itself', { $ref: '#' }, /refers to itself/],
    ['refers to itself by a round', { allOf: [{ anyOf: [{ $ref: '#/allOf/0' }] }] }, /refers to itself/],
    ['refers to itself where nothing reads it', { $defs: { a: { $ref: '#/$defs/a' } } }, /refers to itself/],
    ['refers elsewhere', { $ref: 'http://169.254.169.254/latest' }, /only references within the schema/],
    ['refers to nothing', { $ref: '#/$defs/a' }, /which does not exist/],
    ['refers by no pointer', { $ref: '#/%' }, /not a JSON pointer/],
    ['refers to a prototype', { $ref: '#/constructor' }, /which does not exist/],
    ['backtracks', { properties: { a: { pattern: '(a+)+(?=b)$' } } }, /^#\/properties\/a\/pattern uses a look-around/],
    ['backtracks in a name', { patternProperties: { '(a)\\1': {} } }, /refers back/],
    ['has a pattern that is none', { pattern: '(' }, /not a regular expression/],
    [
      'has heavy patterns',
      { properties: named(6, () => ({ pattern: '^.{700}$' })) },
      /exceeds the limit of 6000 parts/,
    ],
    ['has a type that is none', { type: 'strin' }, /^#\/type must be of string/],
    ['has a schema that is none', { properties: { a: 'string' } }, /^#\/properties\/a must be a schema/],
    ['is for another time', { $dynamicRef: '#a' }, /not supported/],
  ])('is refused where it %s', (_, schema, expected) => {
    expect(leastCpuMs(1_500, () => expect(why(schema)).toMatch(expected))).toBeLessThan(1_500);
  });

  const Tree = z.object({
    value: z.number(),
    get children() {
      return z.array(Tree);
    },
  });
  const written = (schema: z.ZodType) => z.toJSONSchema(schema) as unknown as Json;

  it.each<[string, Json]>([
    ['a tree', written(Tree)],
    ['formats and patterns', written(z.object({ a: z.email(), b: z.iso.datetime(), c: z.uuid(), d: z.url() }))],
    ['a password', { type: 'string', pattern: '^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d@$!%*?&]{8,64}$' }],
    ['a thousand fields', written(z.object(named(1_000, () => z.string()) as never))],
    ['a thousand values', written(z.enum(times(1_000, (i) => `v${i}`) as [string, ...string[]]))],
    [
      'alternatives told apart',
      written(z.discriminatedUnion('k', times(100, (i) => z.object({ k: z.literal(i) })) as never)),
    ],
    [
      'draft 7',
      {
        $schema: 'http://json-schema.org/draft-07/schema#',
        items: [{}, {}],
        additionalItems: false,
        definitions: { a: {} },
      },
    ],
    [
      'a name of its own',
      { $id: 'https://a.example/s', properties: { a: { $ref: 'https://a.example/s#/$defs/b' } }, $defs: { b: {} } },
    ],
    [
      'unknown keywords',
      { 'x-order': [1], nullable: true, example: { $ref: 5 }, discriminator: { propertyName: 'a' } },
    ],
    [
      'fields named as keywords are',
      { properties: { $ref: { type: 'string' }, pattern: { type: 'string' }, type: {} } },
    ],
  ])('is taken with %s', (_, schema) => {
    expect(why(schema)).toBeUndefined();
  });

  it('shares its bounds with those beside it', () => {
    const half: Json = { properties: named(3_000, () => ({})) };
    expect(refusedForeign([['one', half]])).toBeUndefined();
    expect(
      refusedForeign([
        ['one', half],
        ['two', half],
      ]),
    ).toMatchObject({ name: 'two' });
  });
});

describe('the input of a chat stage', () => {
  const refused = (more: object) =>
    chatKind.input.safeParse({ prompt: 'p', history: [], ...more }).error?.issues.map(({ path }) => path.join('.'));
  const evil = { pattern: '(a)\\1' };

  it('takes no schema that is refused, whichever door it came by', () => {
    expect(refused({ output: { schema: { type: 'object' } }, tools: [{ name: 'a', schema: {} }] })).toBeUndefined();
    expect(refused({ output: { schema: evil } })).toEqual(['output.schema']);
    expect(
      refused({
        tools: [
          { name: 'a', schema: {} },
          { name: 'b', schema: evil },
        ],
      }),
    ).toEqual(['tools.1.schema']);
  });
});
