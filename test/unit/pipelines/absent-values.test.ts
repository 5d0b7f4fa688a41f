import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { at, code, either, pipeline, present } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { type Binding, resolve } from '../../../pipelines/plan/index.js';

/*
 * What a caller left out is absent in the input of a stage too, by whatever operator it is read, if the field may be left out and not be null. Elsewhere
 * an operator gives null, as in 0.3.0: a run from before is resumed with the inputs that it recorded.
 */

const person = z.object({ name: z.string(), title: z.string().optional() });
const taken = z.object({ title: z.string().optional() });
const use = code('use', { input: taken, output: taken }, (input) => input);
const orNull = z.object({ title: z.string().nullish() });
const useOrNull = code('use-or-null', { input: orNull, output: orNull }, (input) => input);
const nested = z.object({ one: taken, all: z.array(taken) });
const useNested = code('use-nested', { input: nested, output: nested }, (input) => input);
const titled = pipeline('titled', { input: person }, ({ input }) => ({ title: input.title }));
const usual = z.object({ title: z.string().default('Dr') });
const withUsual = pipeline('with-usual', { input: usual }, ({ input }) => ({ title: input.title }));

const { plan } = pipeline(
  'absent',
  {
    input: z.object({
      person: person.optional(),
      people: z.array(person),
      first: z.string().optional(),
      second: z.string().optional(),
    }),
  },
  ({ input, stage, run }) => {
    const any = either(input.first, input.second);
    return {
      known: stage('known', use, { title: present(input.person).title }),
      item: stage('item', use, { title: present(at(input.people, 0)).title }),
      any: stage('any', use, { title: any }),
      sure: stage('sure', use, { title: present(input.first) }),
      null: stage('null', useOrNull, { title: any }),
      nested: stage('nested', useNested, { one: { title: any }, all: [{ title: any }] }),
      run: run('run', titled, present(input.person)),
      fields: run('fields', titled, { name: 'Ada', title: any }),
      usual: run('usual', withUsual, { title: any }),
      title: any,
    };
  },
);

const scope = (input: JsonObject) => ({ get: () => ({ people: [], ...input }) });

/** The input of a step. */
function given(id: string, input: JsonObject) {
  const step = plan.stages.find((each) => each.id === id);
  if (!step || !('input' in step)) throw new Error(`no input of ${id}`);
  return resolve(step.input, scope(input));
}

describe('an absent field', () => {
  it.each<[string, string, JsonObject]>([
    ['of a value that is present', 'known', { person: { name: 'Ada' } }],
    ['of an item of a list', 'item', { people: [{ name: 'Ada' }] }],
    ['that is the last of several', 'any', {}],
  ])('%s stays absent', (_, id, input) => {
    expect(Object.keys(given(id, input) as JsonObject)).toEqual([]);
  });

  it('stays absent in objects and lists that are given', () => {
    expect(given('nested', {})).toStrictEqual({ one: {}, all: [{}] });
  });

  it('is null in the input of another pipeline, whose outputs and other stages read it too, or its default', () => {
    expect(given('run', { person: { name: 'Ada' } })).toStrictEqual({ name: 'Ada', title: null });
    expect(given('fields', {})).toStrictEqual({ name: 'Ada', title: null });
    expect(given('usual', {})).toStrictEqual({ title: 'Dr' });
  });

  it.each<[string, string, JsonObject, string | null]>([
    ['a field that is there', 'known', { person: { name: 'Ada', title: 'Countess' } }, 'Countess'],
    ['a field that is null', 'known', { person: { name: 'Ada', title: null } }, null],
    ['a field of nothing', 'item', {}, null],
    ['the first of several', 'any', { first: 'a' }, 'a'],
    ['the last of several', 'any', { second: 'b' }, 'b'],
    ['the last of several that is null', 'any', { second: null }, null],
    ['a value that should be present, and is not', 'sure', {}, null],
  ])('is not confused with %s', (_, id, input, title) => {
    expect(given(id, input)).toEqual({ title });
  });

  it('is null where the field takes null, in the output, and in plans of 0.3.0', () => {
    expect(given('null', {})).toEqual({ title: null });
    expect(resolve((plan.output as JsonObject).title as Binding, scope({}))).toBe(null);
    expect(JSON.stringify(plan.output)).not.toContain('"absent":true');
    const unmarked = { $op: 'either', of: [{ $ref: 'input.first' }, { $ref: 'input.second' }] };
    expect(plan.stages).toContainEqual(expect.objectContaining({ id: 'null', input: { title: unmarked } }));
    expect(plan.stages).toContainEqual(
      expect.objectContaining({ id: 'any', input: { title: { ...unmarked, absent: true } } }),
    );
    expect(resolve({ title: unmarked }, scope({}))).toEqual({ title: null });
    const field = { $op: 'get', of: [{ $op: 'either', of: [{ $ref: 'input.person' }] }, 'title'] };
    expect(resolve({ title: field }, scope({ person: { name: 'Ada' } }))).toEqual({ title: null });
  });
});
