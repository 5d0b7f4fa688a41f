import { expect, it } from 'vitest';
import { z } from 'zod';
import { mostValuesOf } from '../../../../gateway/input/alternatives.js';
import { inputForm } from '../../../../gateway/input/input-form.js';
import { audio, chatInput, pipeline } from '../../../../pipelines/index.js';

const tagged = (tag: string) => z.object({ type: z.literal(tag), text: z.string() });
const four = [tagged('a'), tagged('b'), tagged('c'), tagged('d')] as const;
const list = (item: z.ZodType) => z.object({ list: z.array(item) });
const tree: z.ZodType = z.lazy(() => z.union([z.string(), z.array(tree)]));
const fresh = (): z.ZodType => z.lazy(() => z.object({ a: fresh(), b: fresh() }));
const both = (inner: z.ZodType) => z.union([inner, inner]);
const within = (inner: z.ZodType) => z.union([z.object({ a: inner }), z.object({ b: inner })]);

it.each<[string, z.ZodType, number]>([
  ['without unions', list(z.string()), 100_000],
  ['with alternatives of different types', list(z.union([z.string(), z.array(z.string()), z.null()])), 50_000],
  ['with a text or a number', list(z.union([z.string(), z.number()])), 66_666],
  ['with media or any JSON', list(z.union([audio(), z.json()])), 100_000],
  ['with any JSON', list(z.json()), 100_000],
  ['with a schema that contains itself', list(tree), 66_666],
  ['with a discriminated union', list(z.discriminatedUnion('type', [...four])), 100_000],
  ['of a conversation', chatInput, 66_666],
  ['with four kinds of objects', list(z.union(four)), 25_000],
  ['with four kinds of objects, wrapped', list(z.union(four).nullable().default(null)), 25_000],
  ['with one that may not tell', list(z.discriminatedUnion('type', [...four], { unionFallback: true })), 25_000],
  ['with a kind that is prepared', list(z.union([z.preprocess((given) => given, tagged('a')), tagged('b')])), 50_000],
  ['with two kinds of lists', z.object({ a: z.union([z.array(z.int()), z.tuple([z.string()])]).optional() }), 50_000],
  ['with three times two kinds, one within the other', list(within(within(within(z.string())))), 12_500],
  ['with fifty literals', list(z.union(Array.from({ length: 50 }, (_, i) => z.literal(i)))), 3_921],
  ['with more than can be counted', list(Array.from({ length: 20 }).reduce<z.ZodType>(within, z.string())), 1_000],
  ['with unions of unions that share one', list(Array.from({ length: 40 }).reduce<z.ZodType>(both, four[0])), 1_000],
  ['with a schema that makes others without end', fresh(), 100_000],
])('an input %s has at most so many values', (_, schema, most) => {
  expect(mostValuesOf(schema)).toBe(most);
});

it('an input with more is refused, with its field and what has no such limit', () => {
  const form = inputForm(pipeline('listing', { input: list(z.union(four)) }, ({ input }) => ({ list: input.list })));
  const value = (items: number) => ({ list: Array.from({ length: items }, () => ({ type: 'd', text: 'x' })) });
  expect(form.parse(value(8_000))).toEqual(value(8_000));
  expect(() => form.parse(value(9_000))).toThrow(
    /^list: has more than 25000 values.*z\.discriminatedUnion has no such limit/,
  );
});
