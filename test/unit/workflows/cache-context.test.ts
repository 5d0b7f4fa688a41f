import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, contains, join, type Pipeline, pipeline, semantic, text } from '../../../pipelines/index.js';
import { type Binding, mask } from '../../../pipelines/plan/index.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

/* What a semantic cache keeps answers apart by: all of a stage's input but the key. */

const shape = z.object({ before: z.string(), key: z.string(), after: z.string(), list: z.array(z.string()) });
const input = { before: '', key: 'not ', after: '', list: [] as string[] };
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

  it('tells apart lists that the key joins, and texts that it is compared with', async () => {
    const joined = await askedOf(asSeparator, { list: ['a', 'b'] });
    expect(joined).toMatchObject({ prompt: 'anot b', context: { prompt: { op: 'join', of: [['a', 'b'], null] } } });
    const known = await askedOf(compared, { before: 'not here' });
    expect(known.context).toEqual({ prompt: null, known: { op: 'contains', of: ['not here', null] } });
  });

  it('is a digest where the parts are larger than a call', async () => {
    const large = (end: string) => askedOf(compared, { before: 'x'.repeat(800_000) + end });
    const [one, other] = [await large('1'), await large('2')];
    expect(one.context).toMatch(/^[0-9a-f]{64}$/);
    expect(other.context).not.toBe(one.context);
    expect((await large('1')).context).toBe(one.context);
  });
});

it('evaluates what the key is not in', () => {
  const key = { $ref: 'input.key' };
  const said: Binding = { $text: ['x', { $ref: 'input.b' }] };
  const size: Binding = { $op: 'size', of: [{ $ref: 'input.b' }] };
  expect(mask({ a: said, b: [size, key] }, key)).toEqual({ a: said, b: [size, null] });
  expect(mask({ $text: ['x', { $text: [key, 'y'] }] }, key)).toEqual({ text: ['x', { text: [null, 'y'] }] });
});
