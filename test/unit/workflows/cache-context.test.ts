import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, contains, either, join, type Pipeline, pipeline, semantic, text } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { type Binding, mask, resolve } from '../../../pipelines/plan/index.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

/* What a semantic cache keeps answers apart by: all of a stage's input but the key. */

const shape = z.object({
  before: z.string(),
  key: z.string(),
  after: z.string(),
  list: z.array(z.string()),
  summary: z.string().nullable(),
  document: z.string().nullable(),
});
const none = null as string | null;
const input = { before: '', key: 'not ', after: '', list: [] as string[], summary: none, document: none };
const asked = z.object({ prompt: z.string(), known: z.boolean().optional() });
const done = z.object({ n: z.number() });

const ask = code('ask', { input: asked, output: done }, () => ({ n: 1 }));
const inText = pipeline('in-text', { input: shape }, ({ input: { before, key, after }, stage }) => ({
  n: stage('a', ask, { prompt: text`${before}${key}${after}` }, { cache: semantic({ key }) }).n,
}));
const asSeparator = pipeline('as-separator', { input: shape }, ({ input: { key, list }, stage }) => ({
  n: stage('a', ask, { prompt: join(list, key) }, { cache: semantic({ key }) }).n,
}));
const compared = pipeline('compared', { input: shape }, ({ input: { before, key }, stage }) => ({
  n: stage('a', ask, { prompt: key, known: contains(before, key) }, { cache: semantic({ key }) }).n,
}));
const first = pipeline('first', { input: shape }, ({ input: { before, key }, stage }) => ({
  n: stage('a', ask, { prompt: either(key, before) }, { cache: semantic({ key }) }).n,
}));
const otherwise = pipeline('otherwise', { input: shape }, ({ input: { summary, document, key }, stage }) => ({
  n: stage('a', ask, { prompt: either(summary, either(document, key)) }, { cache: semantic({ key }) }).n,
}));
const composed = pipeline('composed', { input: shape }, ({ input: { summary, before, key }, stage }) => ({
  n: stage('a', ask, { prompt: either(summary, text`${before}${key}`) }, { cache: semantic({ key }) }).n,
}));

const askAny = code('ask-any', { input: asked.partial(), output: done }, () => ({ n: 1 }));
const ofAnyType = pipeline('of-any-type', { input: shape.extend({ key: z.any() }) }, ({ input, stage }) => {
  const key = either(input.key, 'hello');
  return { n: stage('a', askAny, { prompt: key }, { cache: semantic({ key }) }).n };
});

/** What the stage was asked, and its look-up in the cache. */
async function askedOf(of: unknown, more: Partial<typeof input>) {
  const calls: { readonly prompt: unknown; readonly cache: StageCall['cache'] }[] = [];
  const inner = new CodeRunner(of as Pipeline);
  const runner: Pick<CodeRunner, 'run'> = {
    run(given, call, attempt) {
      calls.push({ prompt: given.prompt, cache: call.cache });
      return inner.run(given, call, attempt);
    },
  };
  await runInProcess({ ...input, ...more }, contextOf(of as Pipeline), { runner, run: 'r' });
  const [{ prompt, cache } = { prompt: undefined, cache: undefined }] = calls;
  if (cache?.kind !== 'semantic') return expect.unreachable('the stage has a semantic cache');
  return { prompt, key: cache.key, context: cache.context };
}

describe('the context of a cached stage', () => {
  it('tells apart texts in which the key stands in another place', async () => {
    const all: readonly Partial<typeof input>[] = [
      { before: 'You may ', after: 'enter and touch it.' },
      { before: 'You may enter and ', after: 'touch it.' },
      { before: 'You may enter and touch it.' },
    ];
    const contexts = await Promise.all(all.map(async (each) => (await askedOf(inText, each)).context));
    expect(contexts).toEqual([
      { prompt: { text: ['You may ', null, 'enter and touch it.'] } },
      { prompt: { text: ['You may enter and ', null, 'touch it.'] } },
      { prompt: { text: ['You may enter and touch it.', null, ''] } },
    ]);
  });

  it('tells apart lists that the key joins, and what comes of comparing it', async () => {
    const joined = await askedOf(asSeparator, { list: ['a', 'b'] });
    expect(joined).toMatchObject({ prompt: 'anot b', context: { prompt: 'anot b' } });
    const [one, other] = [await askedOf(compared, { before: 'it is not so' }), await askedOf(compared, {})];
    expect(one.context).toEqual({ prompt: null, known: true });
    expect(other.context).toEqual({ prompt: null, known: false });
  });

  it('is no larger than the input where the key is compared with a large text, or comes before one', async () => {
    const before = 'x'.repeat(400_000);
    expect((await askedOf(compared, { before })).context).toEqual({ prompt: null, known: false });
    expect((await askedOf(first, { before })).context).toEqual({ prompt: { op: 'either', of: [null] } });
  });

  it('lacks the key also where the field that it is bound to may be absent', async () => {
    expect(ofAnyType.plan.stages[0]).toMatchObject({ input: { prompt: { absent: true } } });
    expect(await askedOf(ofAnyType, {})).toEqual({ prompt: 'not ', key: 'not ', context: { prompt: null } });
  });

  it('has no alternative that the input does not have', async () => {
    const large = 'x'.repeat(400_000);
    const contexts = [
      (await askedOf(otherwise, { summary: 'Short.', document: large })).context,
      (await askedOf(otherwise, { document: 'Long.' })).context,
      (await askedOf(otherwise, {})).context,
      (await askedOf(composed, { summary: 'Short.', before: large })).context,
      (await askedOf(composed, { before: 'Do ' })).context,
    ];
    expect(contexts).toEqual([
      { prompt: { op: 'either', of: ['Short.', null] } },
      { prompt: { op: 'either', of: ['Long.', null] } },
      { prompt: { op: 'either', of: [null, null] } },
      { prompt: { op: 'either', of: ['Short.', null] } },
      { prompt: { op: 'either', of: [null, { text: ['Do ', null] }] } },
    ]);
  });
});

it('evaluates what the key is not in', () => {
  const key = { $ref: 'input.key' };
  const said: Binding = { $text: ['x', { $ref: 'input.b' }] };
  const size: Binding = { $op: 'size', of: [{ $ref: 'input.b' }] };
  expect(mask({ a: said, b: [size, key] }, key)).toEqual({ a: said, b: [size, null] });
  expect(mask({ $text: ['x', { $text: [key, 'y'] }] }, key)).toEqual({ text: ['x', { text: [null, 'y'] }] });
  const get = { $op: 'get', of: [{ $ref: 'input.b' }, 'key'] };
  expect(mask({ a: { ...get, absent: true }, b: get }, get)).toEqual({ a: null, b: null });
});

it('leaves operators whose value is a truth, a number or a part, and takes apart those that make texts', () => {
  const key = { $ref: 'input.key' };
  const b = { $ref: 'input.b' };
  for (const $op of ['eq', 'contains', 'lt', 'size', 'get', 'at', 'entries'] as const)
    expect(mask({ $op, of: [b, key] }, key)).toEqual({ $op, of: [b, key] });
  expect(mask({ $op: 'join', of: [[b, key], ' '] }, key)).toEqual({ op: 'join', of: [[b, null], ' '] });
  expect(mask({ $op: 'join', of: [b, key] }, key)).toEqual({ $op: 'join', of: [b, key] });
  expect(mask({ $op: 'sentences', of: [key] }, key)).toEqual({ op: 'sentences', of: [null] });
});

it('gives one value for the alternatives before the key, and reads none behind it', () => {
  const key = { $ref: 'input.key' };
  const [b, c] = [{ $ref: 'input.b' }, { $ref: 'input.c' }];
  const anyOf = (...of: Binding[]): Binding => ({ $op: 'either', of });
  const masked = (...of: Binding[]): Binding => ({ op: 'either', of });
  expect(mask(anyOf(b, key, c), key)).toEqual(masked(anyOf(b), null));
  expect(mask(anyOf(anyOf(key, b), c), key)).toEqual(masked(null));
  expect(mask(anyOf({ $text: [key] }, c), key)).toEqual(masked({ text: [null] }));
  expect(mask(anyOf(b, anyOf(b, c)), anyOf(b, c))).toEqual(masked(anyOf(b), null));
  expect(mask(anyOf(b, c), key)).toEqual(anyOf(b, c));
  const nested = mask(anyOf(b, anyOf(c, { $op: 'sentences', of: [key] })), key);
  const contextFor = (values: JsonObject) => resolve(nested, new Map([['input', values]]));
  expect(contextFor({ b: 'b', c: 'c' })).toEqual(masked('b', null));
  expect(contextFor({ c: '' })).toEqual(masked('', null));
  expect(contextFor({})).toEqual(masked(null, { op: 'sentences', of: [null] }));
});
