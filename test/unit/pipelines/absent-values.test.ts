import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { at, code, either, pipeline, present } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { isStage, resolve } from '../../../pipelines/plan/index.js';

/* What a caller left out is absent in the input of a stage too, by whatever operator it is read. */

const person = z.object({ name: z.string(), title: z.string().optional() });
const taken = z.object({ title: z.string().nullish() });
const use = code('use', { input: taken, output: taken }, (input) => input);

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
  ({ input, stage }) => ({
    known: stage('known', use, { title: present(input.person).title }),
    item: stage('item', use, { title: at(input.people, 0).title }),
    any: stage('any', use, { title: either(input.first, input.second) }),
    sure: stage('sure', use, { title: present(input.first) }),
  }),
);

/** The input of a stage. */
function given(id: string, input: JsonObject) {
  const step = plan.stages.find((each) => each.id === id);
  if (!step || !isStage(step)) throw new Error(`no stage ${id}`);
  return resolve(step.input, { get: () => ({ people: [], ...input }) });
}

describe('an absent field', () => {
  it.each<[string, string, JsonObject]>([
    ['of a value that is present', 'known', { person: { name: 'Ada' } }],
    ['of an item of a list', 'item', { people: [{ name: 'Ada' }] }],
    ['that is the last of several', 'any', {}],
  ])('%s stays absent', (_, id, input) => {
    expect(Object.keys(given(id, input) as JsonObject)).toEqual([]);
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
});
