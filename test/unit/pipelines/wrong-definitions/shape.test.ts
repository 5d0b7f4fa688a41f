import { expect, it } from 'vitest';
import { z } from 'zod';
import { type Assignable, chat, code, eq, pipeline, text } from '../../../../pipelines/index.js';
import {
  type Anything,
  ask,
  type Body,
  type Case,
  define,
  INPUT,
  one,
  PROMPT,
  refuses,
  TEXT,
  upper,
} from './refusal.js';

const NAMES: readonly Case[] = [
  ['a pipeline’s name with capitals', 'Voice', /lower-case/, () => pipeline('Voice', { input: INPUT }, () => ({}))],
  ['no schema of objects as input', 'input', /z\.object/, () => define(() => ({}), { input: z.string() })],
  [
    'a misspelt option of the pipeline',
    'deadlin',
    /description, deadline/,
    () => define(() => ({}), { deadlin: '1m' }),
  ],
  ['no function', 'p', /function/, () => define(undefined as unknown as Body)],
  ['an async function', 'p', /must not be async/, () => define(async () => ({}))],
  ['a stage id with a space', 'first one', /lower-case/, () => define(({ stage }) => stage('first one', upper, TEXT))],
  ['a stage id of 64 letters', 'a'.repeat(64), /63/, () => define(({ stage }) => stage('a'.repeat(64), upper, TEXT))],
  [
    'a stage named like the input',
    'input',
    /another stage id/,
    () => define(({ stage }) => stage('input', upper, TEXT)),
  ],
  [
    'one id in two branches',
    'a',
    /twice/,
    () =>
      define(({ input, stage, when }) => ({
        out: when(
          'w',
          eq(input.q, 'x'),
          () => stage('a', upper, TEXT),
          () => stage('a', upper, TEXT),
        ),
      })),
  ],
  [
    'a step and a stage of one id',
    'a',
    /twice/,
    () =>
      define(({ input, stage, each }) => ({
        out: each('a', input.words, (word: unknown) => stage('a', upper, { text: word })),
      })),
  ],
  ['no stage kind', 'a', /stage kind/, () => one(undefined, {})],
  ['the kind’s function, not called', 'a', /stage kind/, () => one(chat, PROMPT)],
  ['an unknown kind', 'a', /unknown stage kind "sing"/, () => one({ ...ask, kind: 'sing' }, PROMPT)],
  ['no model', 'a.model', /must name/, () => one(chat({ model: '' }), PROMPT)],
  [
    'two functions of one name',
    'b',
    /another function named "upper"/,
    () =>
      define(({ stage }) => ({
        a: stage('a', upper, TEXT),
        b: stage(
          'b',
          code('upper', upper, ({ text }) => ({ text })),
          TEXT,
        ),
      })),
  ],
];

const REFERENCES: readonly Case[] = [
  ['an unknown field of the input', 'input.qq', /its fields: q, n/, () => define(({ input }) => ({ x: input.qq }))],
  [
    'an unknown field of a stage',
    'a.txt',
    /its fields: text/,
    () => define(({ stage }) => ({ x: stage('a', upper, TEXT).txt })),
  ],
  ...['then', 'toJSON'].map(
    (name): Case => [
      `a field called ${name}`,
      `input.${name}`,
      /cannot be read.*another/,
      () => define(({ input }) => ({ x: input[name] }), { input: z.object({ [name]: z.string() }) }),
    ],
  ),
  [
    'an async rule of the input',
    'input.q',
    /async rule/,
    () => define(({ input }) => ({ x: input.q }), { input: z.object({ q: z.string().refine(async () => true) }) }),
  ],
  ['a field whose name holds a dot', 'input.a.b', /dots/, () => define(({ input }) => ({ x: input['a.b'] }))],
  ['a reference in a plain template', 'input.q', /text`…`/, () => define(({ input }) => ({ x: `Say ${input.q}` }))],
  ['texts joined with +', 'input.q', /text`…`/, () => define(({ input }) => ({ x: [input.q + input.q] }))],
  ['numbers compared with <', 'input.n', /lt\(\)/, () => define(({ input }) => ({ x: input.n < 3 }))],
  [
    'a loop over a reference',
    'input.words',
    /each\(\)/,
    () =>
      define(({ input }) => {
        for (const word of input.words) return { word };
        return {};
      }),
  ],
  [
    'map on a reference',
    'input.words.map',
    /use each\(\)/,
    () => define(({ input }) => ({ x: input.words.map((word: string) => word) })),
  ],
  [
    'the length of a reference',
    'input.words.length',
    /use size\(\)/,
    () => define(({ input }) => ({ x: input.words.length })),
  ],
  ['a text that is spread', 'input.q', /cannot be spread/, () => define(({ input }) => ({ ...input.q }))],
  [
    'a field that is set',
    'input',
    /cannot be set/,
    () =>
      define(({ input }) => {
        input.q = 'x';
        return {};
      }),
  ],
  [
    'another pipeline’s reference',
    'a.input',
    /another pipeline/,
    () => {
      let foreign: Assignable<string> | undefined;
      pipeline('other', { input: z.object({ q: z.string() }) }, ({ input }) => {
        foreign = input.q;
        return {};
      });
      return one(upper, { text: foreign });
    },
  ],
  [
    'a branch’s stage read outside of it',
    'b.input',
    /exists only inside "w"/,
    () =>
      define(({ input, stage, when }) => {
        let inner: Anything;
        when('w', eq(input.q, 'x'), () => {
          inner = stage('a', upper, TEXT);
        });
        return { out: stage('b', upper, { text: inner.text }) };
      }),
  ],
  [
    'an item read outside of its loop',
    'output',
    /exists only inside "e"/,
    () =>
      define(({ input, each }) => {
        let inner: Anything;
        each('e', input.words, (word: unknown) => {
          inner = word;
        });
        return { inner };
      }),
  ],
  [
    'one contender that reads another',
    'b.input',
    /exists only inside "r"/,
    () =>
      define(({ stage, race }) => {
        let inner: Anything;
        return {
          out: race('r', {
            one: () => {
              inner = stage('a', upper, TEXT);
              return inner;
            },
            two: () => stage('b', upper, { text: inner.text }),
          }),
        };
      }),
  ],
  ['an output that is no object', 'output', /return \{ field/, () => define(({ input }) => input.q)],
  ['an output that is a list', 'output', /return \{ field/, () => define(({ input }) => [input.q])],
  ['no output', 'output', /undefined/, () => define(() => undefined)],
  ['a function as a value', 'a.input', /a function/, () => one(upper, { text: () => 'x' })],
  ['a date as a value', 'output', /a Date/, () => define(() => ({ at: new Date(0) }))],
  ['a number that JSON does not have', 'output', /NaN/, () => define(() => ({ n: Number.NaN }))],
  [
    'a reference in an object that is taken as it is',
    'output',
    /\$id/,
    () => define(({ input }) => ({ s: { $id: 'x', q: input.q } })),
  ],
];

refuses('names and shape', NAMES);
refuses('references', REFERENCES);

it('a template is no mistake', () => {
  const { plan } = define(({ input, stage }) => ({ x: stage('a', ask, { prompt: text`${input.q} ${input.hint}` }) }));
  expect(plan.stages).toHaveLength(1);
});

it('a reference can be spread into its fields', () => {
  const { plan } = pipeline('spread', { input: z.object({ q: z.string(), n: z.number() }) }, ({ input }) => ({
    out: { ...input, q: 'x' },
  }));
  expect(plan.output).toEqual({ out: { q: 'x', n: { $ref: 'input.n' } } });
});
