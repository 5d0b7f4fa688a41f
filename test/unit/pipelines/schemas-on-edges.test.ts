import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Assignable, code, either, eq, gt, type Pipeline, pipeline, present } from '../../../pipelines/index.js';
import { testPipeline } from '../../../testing/index.js';

const text = z.object({ text: z.string() });
const upper = code('upper', { input: text, output: text }, (given) => ({ text: given.text.toUpperCase() }));

async function outputOf<I, O>(pipeline: Pipeline<I, O>, input: I): Promise<unknown> {
  const run = await testPipeline(pipeline, input);
  return run.output;
}

describe('a tree', () => {
  interface Tree {
    name: string;
    children: Tree[];
  }
  const tree: z.ZodType<Tree> = z.object({
    name: z.string(),
    get children() {
      return z.array(tree);
    },
  });
  const other: z.ZodType<Tree> = z.object({
    name: z.string(),
    get children() {
      return z.array(other);
    },
  });
  const grow = code('grow', { input: text, output: z.object({ tree }) }, (given) => ({
    tree: { name: given.text, children: [{ name: 'leaf', children: [] }] },
  }));
  const sizeOf = ({ children }: Tree): number => children.reduce((sum, child) => sum + sizeOf(child), 1);
  const count = (taken: z.ZodType<Tree>) =>
    code('count', { input: z.object({ tree: taken }), output: z.object({ n: z.number() }) }, (given) => ({
      n: sizeOf(given.tree),
    }));
  const counted = (taken: z.ZodType<Tree>) =>
    pipeline('counted', { input: text }, ({ input, stage }) => {
      const grown = stage('grow', grow, { text: input.text });
      return { n: stage('count', count(taken), { tree: grown.tree }).n, tree: grown.tree };
    });

  it.each([
    ['the same schema', tree],
    ['another one of the same form', other],
  ])('goes from stage to stage: %s', async (_, taken) => {
    expect(await outputOf(counted(taken), { text: 'root' })).toEqual({
      n: 2,
      tree: { name: 'root', children: [{ name: 'leaf', children: [] }] },
    });
  });

  it('of another form is refused', () => {
    const numbered = z.object({ name: z.number(), children: z.array(z.unknown()) }) as unknown as z.ZodType<Tree>;
    expect(() => counted(numbered)).toThrow('"count.input.tree.name" is text where a number is needed');
  });
});

describe('a loop', () => {
  const guess = code(
    'guess',
    {
      input: z.object({ tried: z.array(z.string()) }),
      output: z.object({ word: z.string(), tried: z.array(z.string()) }),
    },
    ({ tried }) => {
      const word = 'abcdef'.charAt(tried.length);
      return { word, tried: [...tried, word] };
    },
  );
  const searched = pipeline('searched', { input: z.object({}) }, ({ stage, repeat }) => {
    const end = repeat(
      'search',
      { tried: [] as string[], best: null as { word: string } | null },
      (state) => {
        const next = stage('guess', guess, { tried: state.tried });
        return { tried: next.tried, best: { word: next.word } };
      },
      { until: (state) => eq(state.best.word, 'c'), atMost: 5 },
    );
    return { tried: end.tried, word: either(end.best.word, 'none') };
  });

  it('begins with nothing, and with an empty list', async () => {
    expect(await outputOf(searched, {})).toEqual({ tried: ['a', 'b', 'c'], word: 'c' });
  });

  it('begins with a part that is not there yet', async () => {
    const late = pipeline('late', { input: z.object({}) }, ({ stage, repeat }) => {
      const start = { tried: [] as string[], best: undefined as string | undefined };
      const end = repeat(
        'search',
        start,
        (state) => {
          const next = stage('guess', guess, { tried: state.tried });
          return { tried: next.tried, best: next.word };
        },
        { until: (state) => eq(state.best, 'b'), atMost: 5 },
      );
      return { best: either(end.best, 'none') };
    });
    expect(await outputOf(late, {})).toEqual({ best: 'b' });
  });

  it('goes on with more fields than a strict beginning has', async () => {
    const draft = code('draft', { input: text, output: z.strictObject({ text: z.string() }) }, (given) => given);
    const edited = z.object({ text: z.string(), score: z.number() });
    const edit = code('edit', { input: text, output: edited }, (given) => ({ text: `${given.text}!`, score: 1 }));
    const improved = pipeline('improved', { input: text }, ({ input, stage, repeat }) => {
      const first = stage('draft', draft, { text: input.text });
      const end = repeat('improve', first, (state) => stage('edit', edit, { text: state.text }), {
        until: (state) => eq(state.text, 'a!!'),
        atMost: 5,
      });
      return { text: end.text };
    });
    expect(await outputOf(improved, { text: 'a' })).toEqual({ text: 'a!!' });
  });

  it('promises no list that stays empty', () => {
    expect(searched.outputSchema).toMatchObject({ properties: { tried: { type: 'array', items: {} } } });
  });

  it('still has no methods', () => {
    const define = () =>
      pipeline('p', { input: z.object({}) }, ({ repeat }) => ({
        x: repeat('r', { best: null }, (state) => ({ best: (state.best as unknown as { length: never }).length }), {
          until: () => eq(1, 1),
          atMost: 2,
        }),
      }));
    expect(define).toThrow(/"r\/state\.best\.length" unknown field.*use size\(\)/);
  });
});

describe('a value that may be absent', () => {
  const graded = pipeline('graded', { input: z.object({ n: z.number() }) }, ({ input, stage, when }) => {
    const word = when(
      'high',
      gt(input.n, 10),
      () => stage('shout', upper, { text: 'high' }).text,
      () => when('middle', gt(input.n, 5), () => 'middle'),
    );
    return { word: stage('loud', upper, { text: either(word, 'low') }).text };
  });

  it.each([
    [20, 'HIGH'],
    [7, 'MIDDLE'],
    [1, 'LOW'],
  ])('of a branch in a branch gets a default: %d', async (n, word) => {
    expect(await outputOf(graded, { n })).toEqual({ word });
  });

  it('of a union with null gets a default, or is said to be there', async () => {
    const hinted = pipeline('hinted', { input: z.object({ hint: z.union([z.string(), z.null()]) }) }, (trace) => ({
      either: trace.stage('either', upper, { text: either(trace.input.hint, 'none') }).text,
      present: trace.stage('present', upper, { text: present(trace.input.hint) }).text,
    }));
    expect(await outputOf(hinted, { hint: 'so' })).toEqual({ either: 'SO', present: 'SO' });
  });

  it('of an output is not promised', async () => {
    const partial = pipeline('partial', { input: text }, ({ input }) => ({ text: input.text, more: undefined }));
    expect(partial.outputSchema).toMatchObject({ required: ['text'] });
    const outer = pipeline('outer', { input: text }, ({ input, run }) => ({
      more: run('partial', partial, input).more,
    }));
    expect(await outputOf(outer, { text: 'x' })).toEqual({});
  });
});

describe('fields', () => {
  const input = z.object({
    frozen: z.object({ q: z.string() }).readonly(),
    both: z.object({ a: z.string() }).and(z.object({ b: z.number() })),
    later: z.lazy(() => z.object({ q: z.string() })),
    parsed: z.string().pipe(z.string().min(1)),
    scores: z.record(z.enum(['good', 'bad']), z.number()),
    labels: z.record(z.string(), z.string()),
  });

  it('are those that the compiler shows', async () => {
    const read = pipeline('read', { input }, (trace) => {
      const { frozen, both, later, scores } = trace.input;
      const labels = trace.input.labels as unknown as { readonly de: Assignable<string | null> };
      return {
        frozen: frozen.q,
        a: both.a,
        b: both.b,
        later: later.q,
        good: scores.good,
        label: either(labels.de, '-'),
      };
    });
    const given = {
      frozen: { q: 'f' },
      both: { a: 'a', b: 2 },
      later: { q: 'l' },
      parsed: 'p',
      scores: { good: 1, bad: 0 },
      labels: {},
    };
    expect(await outputOf(read, given)).toEqual({ frozen: 'f', a: 'a', b: 2, later: 'l', good: 1, label: '-' });
  });

  it('that no value has are refused', () => {
    const define = (key: string) =>
      pipeline('p', { input }, (trace) => ({
        x: (trace.input as unknown as Record<string, Record<string, never>>)[key]?.goood,
      }));
    expect(() => define('scores')).toThrow('(its fields: good, bad); did you mean "good"?');
    expect(() => define('both')).toThrow('(its fields: a, b)');
    expect(() => define('parsed')).toThrow('(its fields: none)');
  });
});

describe('the input of a pipeline in a pipeline', () => {
  const inner = pipeline(
    'inner',
    {
      input: z.object({
        a: z.number().default(1).readonly(),
        b: z.string().prefault('b'),
        list: z.array(z.object({ q: z.string(), k: z.number().default(3) })),
        more: z.object({ k: z.number().default(4) }).optional(),
      }),
    },
    ({ input }) => ({ ...input }),
  );

  it('gets all defaults that a caller gets', async () => {
    const outer = pipeline('outer', { input: text }, ({ input, run }) => ({
      filled: run('filled', inner, { list: [{ q: input.text }], more: {} }),
      given: run('given', inner, { a: 2, b: 'own', list: [{ q: 'x', k: 5 }] }),
    }));
    const expected = { a: 1, b: 'b', list: [{ q: 'x', k: 3 }], more: { k: 4 } };
    expect(await outputOf(outer, { text: 'x' })).toEqual({
      filled: expected,
      given: { a: 2, b: 'own', list: [{ q: 'x', k: 5 }] },
    });
    const asked = await testPipeline(inner, { list: [{ q: 'x' }], more: {} });
    expect(asked.output).toEqual(expected);
  });

  it('is taken as a list whose items have what has a default', async () => {
    const docs = z.array(z.object({ q: z.string(), k: z.number().default(3) }));
    const counted = pipeline('counted', { input: z.object({ docs }) }, ({ input }) => ({ docs: input.docs }));
    const outer = pipeline('outer', { input: z.object({ docs }) }, ({ input, run }) => ({
      docs: run('counted', counted, { docs: input.docs }).docs,
    }));
    expect(await outputOf(outer, { docs: [{ q: 'x' }] })).toEqual({ docs: [{ q: 'x', k: 3 }] });
  });

  it('is taken as a list whose items have a default, though they may be null or left out', async () => {
    const item = z.object({ a: z.string().default('en').nullable(), b: z.string().default('de').optional() });
    const docs = z.array(item);
    const counted = pipeline('counted', { input: z.object({ docs }) }, ({ input }) => ({ docs: input.docs }));
    const outer = pipeline('outer', { input: z.object({ docs }) }, ({ input, run }) => ({
      docs: run('counted', counted, { docs: input.docs }).docs,
    }));
    expect(await outputOf(outer, { docs: [{}, { a: null }] })).toEqual({
      docs: [
        { a: 'en', b: 'de' },
        { a: null, b: 'de' },
      ],
    });
  });

  it('is not converted, so it takes what its stages read', async () => {
    const counting = pipeline(
      'counting',
      { input: z.object({ n: z.string().transform(Number).pipe(z.number()) }) },
      ({ input }) => ({ many: gt(input.n, 3) }),
    );
    const outer = pipeline('outer', { input: z.object({ n: z.number() }) }, ({ input, run }) => ({
      many: run('counting', counting, { n: input.n as unknown as string }).many,
    }));
    expect(await outputOf(outer, { n: 5 })).toEqual({ many: true });
  });

  it('takes further fields where its schema does, also in lists', async () => {
    const loose = pipeline(
      'loose',
      { input: z.object({ list: z.array(z.looseObject({ q: z.string(), k: z.number().default(3) })) }) },
      ({ input }) => ({ list: input.list }),
    );
    const outer = pipeline('outer', { input: text }, ({ input, run }) => ({
      list: run('loose', loose, { list: [{ q: input.text, lang: 'de' }] }).list,
    }));
    expect(await outputOf(outer, { text: 'x' })).toEqual({ list: [{ q: 'x', k: 3, lang: 'de' }] });
  });

  it('whose function throws over nothing is read at the load all the same', async () => {
    const tagged = pipeline(
      'tagged',
      { input: z.object({ tags: z.preprocess((value) => (value as string).split(','), z.array(z.string())) }) },
      ({ input }) => ({ tags: input.tags }),
    );
    const outer = pipeline('outer', { input: z.object({ tags: z.array(z.string()) }) }, ({ input, run }) => ({
      tags: run('tagged', tagged, { tags: input.tags }).tags,
    }));
    expect(await outputOf(outer, { tags: ['a', 'b'] })).toEqual({ tags: ['a', 'b'] });
  });
});

describe('a strict object', () => {
  const pair = z.object({ text: z.string(), more: z.string() });
  const twice = code('twice', { input: text, output: z.object({ pair }) }, (given) => ({
    pair: { text: given.text, more: given.text },
  }));
  const taking = (taken: z.ZodType) =>
    code('taking', { input: z.object({ pair: taken }), output: text }, (given) => given.pair as { text: string });
  const giving = (taken: z.ZodType) =>
    pipeline('giving', { input: text }, ({ input, stage }) => {
      const made = stage('twice', twice, { text: input.text });
      return { text: stage('taking', taking(taken), { pair: made.pair } as never).text };
    });

  it('takes no reference to an object with a field too many: each of its runs would fail', () => {
    expect(() => giving(z.strictObject({ text: z.string() }))).toThrow(
      /"taking\.input\.pair\.more" is not one of its fields: text/,
    );
  });

  it('takes one whose field too many is declared, and other objects leave it out', async () => {
    const declared = z.strictObject({ text: z.string(), more: z.string() });
    for (const taken of [declared, text])
      expect(await outputOf(giving(taken), { text: 'x' })).toMatchObject({ text: 'x' });
  });

  it('of a pipeline in a pipeline takes its own fields alone, as before', async () => {
    const inner = pipeline('inner', { input: text }, ({ input }) => ({ text: input.text }));
    const outer = pipeline('outer', { input: text }, ({ input, stage, run }) => {
      const made = stage('twice', twice, { text: input.text });
      return { text: run('inner', inner, made.pair as never).text };
    });
    expect(await outputOf(outer, { text: 'x' })).toEqual({ text: 'x' });
  });
});
