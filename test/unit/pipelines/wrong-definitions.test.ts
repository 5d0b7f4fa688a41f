import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type Assignable,
  approve,
  audio,
  chat,
  classify,
  code,
  embed,
  eq,
  http,
  infer,
  MillraceError,
  type Pipeline,
  pipeline,
  type Ref,
  rerank,
  retrieve,
  semantic,
  split,
  synthesize,
  tensor,
  text,
  transcribe,
  upsert,
} from '../../../pipelines/index.js';
import { type PoolDescription, place } from '../../../placement/place.js';

/**
 * One definition for each mistake that an author can make. JavaScript authors and casts make mistakes that the compiler
 * refuses to others, so most of these are written without types. Each must be refused before anything runs, by the name of
 * the stage, with a message that says what to change.
 */

/** The traced function's argument, and whatever an author does with it, without types. */
// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse is what is tested
type Anything = any;
type Body = (trace: Anything) => unknown;

const INPUT = z.object({
  q: z.string(),
  n: z.number(),
  speech: audio(),
  words: z.array(z.string()),
  hint: z.string().optional(),
  'a.b': z.string(),
});
const define = (body: Body, options: object = {}) =>
  pipeline('p', { input: INPUT, ...options } as Anything, body as Anything) as unknown as Pipeline;
const one = (use: Anything, input: unknown, options?: Anything) =>
  define(({ stage }) => ({ out: stage('a', use, input, options) }));

const upper = code(
  'upper',
  { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
  (i) => i,
);
const ask = chat({ model: 'assistant' });
const TEXT = { text: 'x' };
const PROMPT = { prompt: 'x' };
const chatWith = (options: object) => one(chat({ model: 'assistant', ...options } as Anything), PROMPT);
const policy = (options: object) => one(ask, PROMPT, options);

type Case = readonly [mistake: string, field: string, says: RegExp, define: () => Pipeline];

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

const STAGE_INPUTS: readonly Case[] = [
  ['no input', 'a.input.prompt', /expected string/, () => one(ask, {})],
  [
    'an input that only other fields have',
    'a.input.prompt',
    /missing: it is text/,
    () => define(({ input, stage }) => ({ x: stage('a', ask, { images: [input.speech] }) })),
  ],
  [
    'a field that the kind does not take',
    'a.input.promt',
    /its fields: prompt, history, images/,
    () => define(({ input, stage }) => ({ x: stage('a', ask, { prompt: 'x', promt: input.q }) })),
  ],
  ['a number where text belongs', 'a.input.prompt', /expected string/, () => one(ask, { prompt: 1 })],
  [
    'a reference to a number where text belongs',
    'a.input.prompt',
    /a number where text/,
    () => define(({ input, stage }) => ({ x: stage('a', ask, { prompt: input.n }) })),
  ],
  [
    'a value that may be absent',
    'a.input.prompt',
    /either\(\)/,
    () => define(({ input, stage }) => ({ x: stage('a', ask, { prompt: input.hint }) })),
  ],
  [
    'an optional stage’s output read as if it were there',
    'b.input.text',
    /either\(\)/,
    () =>
      define(({ stage }) => {
        const a = stage('a', upper, TEXT, { optional: true });
        return { x: stage('b', upper, { text: a.text }) };
      }),
  ],
  [
    'text where audio belongs',
    'a.input.audio',
    /text where audio/,
    () => define(({ input, stage }) => ({ x: stage('a', transcribe({ model: 'whisper' }), { audio: input.q }) })),
  ],
  [
    '24 kHz audio into an input of 8 kHz',
    'b.input.audio',
    /rate 24000 where rate 8000/,
    () => {
      const studio = code(
        'studio',
        { input: z.object({}), output: z.object({ audio: audio({ rate: 24000 }) }) },
        () => ({}) as never,
      );
      const phone = code(
        'phone',
        { input: z.object({ audio: audio({ rate: 8000 }) }), output: z.object({}) },
        () => ({}),
      );
      return define(({ stage }) => ({ x: stage('b', phone, { audio: stage('a', studio, {}).audio }) }));
    },
  ],
  [
    'a tensor of another type',
    'b.input.X',
    /FP32 .* where INT64/,
    () => {
      const made = infer({ model: 'm', inputs: {}, outputs: { Y: tensor({ dtype: 'FP32', shape: [1] }) } });
      const used = infer({ model: 'm', inputs: { X: tensor({ dtype: 'INT64', shape: [1] }) }, outputs: {} });
      return define(({ stage }) => ({ x: stage('b', used, { X: stage('a', made, {}).Y }) }));
    },
  ],
  [
    'a tensor of another shape',
    'a.input.X',
    /tensor of shape/,
    () =>
      one(infer({ model: 'm', inputs: { X: tensor({ dtype: 'FP32', shape: [1, 2] }) }, outputs: {} }), {
        X: { dtype: 'FP32', shape: [3], data: [1, 2, 3] },
      }),
  ],
  [
    'a list of the wrong things',
    'a.input.passages[].id',
    /is missing/,
    () =>
      define(({ input, stage }) => {
        const cut = stage('cut', split(), { audio: input.speech });
        return { x: stage('a', upsert({ index: 'i' }), { passages: cut.parts }) };
      }),
  ],
];

const KIND_OPTIONS: readonly Case[] = [
  ['no room for a reply', 'a.maxTokens', /1 or more/, () => chatWith({ maxTokens: 0 })],
  ['half a token', 'a.maxTokens', /whole number/, () => chatWith({ maxTokens: 1.5 })],
  ['a temperature below 0', 'a.temperature', /0 or more/, () => chatWith({ temperature: -1 })],
  ['an empty list of tools', 'a.tools', /leave it out/, () => chatWith({ tools: [] })],
  [
    'two tools of one name',
    'a.tools',
    /twice/,
    () => chatWith({ tools: ['t', 't'].map((name) => ({ name, description: '', input: z.object({}) })) }),
  ],
  ['one label', 'a.labels', /two labels/, () => one(classify({ model: 'm', labels: ['x'] }), TEXT)],
  ['a label twice', 'a.labels', /twice/, () => one(classify({ model: 'm', labels: ['x', 'x'] }), TEXT)],
  [
    'a tensor described by another schema',
    'a.inputs.X',
    /tensor\(\)/,
    () => one(infer({ model: 'm', inputs: { X: z.string() as Anything }, outputs: {} }), { X: 'x' }),
  ],
  ['no passages at all', 'a.k', /1 or more/, () => one(retrieve({ index: 'i', k: 0 }), { query: 'x' })],
  ['a similarity above 1', 'a.minScore', /1 or less/, () => one(retrieve({ index: 'i', minScore: 2 }), { query: 'x' })],
  [
    'the best 0 passages',
    'a.top',
    /1 or more/,
    () => one(rerank({ model: 'm', top: 0 }), { query: 'x', passages: [] }),
  ],
  [
    'a path that is a URL',
    'a.path',
    /begin with "\/"/,
    () => one(http({ service: 's', path: 'http://x/y', output: z.json() }), {}),
  ],
  [
    'an approval that outlasts the deadline',
    'a.timeout',
    /deadline/,
    () => one(approve({ timeout: '1h' }), { subject: 'x' }),
  ],
  [
    'a policy for an approval',
    'a.retry',
    /leave it out/,
    () => one(approve({ timeout: '1m' }), { subject: 'x' }, { retry: { attempts: 2 } }),
  ],
];

const POLICIES: readonly Case[] = [
  ['a misspelt option', 'a.retries', /there are cache/, () => policy({ retries: 3 })],
  ['a misspelt part of retry', 'a.retry.attempt', /there are attempts/, () => policy({ retry: { attempt: 3 } })],
  ['a misspelt part of backoff', 'a.retry.backoff.jiter', /jitter/, () => policy({ retry: { backoff: { jiter: 0 } } })],
  [
    'a misspelt part of timeout',
    'a.timeout.attempts',
    /there are attempt/,
    () => policy({ timeout: { attempts: '5s' } }),
  ],
  ['a timeout that is no object', 'a.timeout', /an object with attempt/, () => policy({ timeout: '5s' })],
  ['no attempts', 'a.retry.attempts', /between 1 and 100/, () => policy({ retry: { attempts: 0 } })],
  ['half an attempt', 'a.retry.attempts', /whole number/, () => policy({ retry: { attempts: 1.5 } })],
  [
    'waits that shrink',
    'a.retry.backoff.factor',
    /between 1 and 10/,
    () => policy({ retry: { backoff: { factor: 0.5 } } }),
  ],
  [
    'more jitter than wait',
    'a.retry.backoff.jitter',
    /between 0 and 1/,
    () => policy({ retry: { backoff: { jitter: 2 } } }),
  ],
  [
    'a first wait longer than the longest',
    'a.retry.backoff.initial',
    /longer than/,
    () => policy({ retry: { backoff: { initial: '2s', max: '1s' } } }),
  ],
  ['a retry of nothing', 'a.retry.on', /attempts: 1/, () => policy({ retry: { on: [] } })],
  ['a retry of an unknown code', 'a.retry.on', /error table/, () => policy({ retry: { on: ['TEAPOT'] } })],
  [
    'a retry of what never helps',
    'a.retry.on',
    /never tried again/,
    () => policy({ retry: { on: ['INVALID_INPUT'] } }),
  ],
  ['a time that is none', 'a.timeout.attempt', /duration/, () => policy({ timeout: { attempt: 'soon' } })],
  [
    'an attempt longer than the total',
    'a.timeout.attempt',
    /timeout\.total/,
    () => policy({ timeout: { attempt: '2m', total: '1m' } }),
  ],
  [
    'a queue time longer than the total',
    'a.timeout.queue',
    /timeout\.total/,
    () => policy({ timeout: { queue: '2m', total: '1m' } }),
  ],
  [
    'a first chunk after the attempt’s end',
    'a.timeout.firstChunk',
    /timeout\.attempt/,
    () => policy({ timeout: { firstChunk: '2m' } }),
  ],
  [
    'a silence longer than the attempt',
    'a.timeout.idle',
    /timeout\.attempt/,
    () => policy({ timeout: { idle: '2m' } }),
  ],
  ['a total longer than the deadline', 'a.timeout.total', /deadline/, () => policy({ timeout: { total: '1h' } })],
  [
    'a first chunk of a function',
    'a.timeout.firstChunk',
    /no pool/,
    () => one(upper, TEXT, { timeout: { firstChunk: '1s' } }),
  ],
  ['a hedge of a function', 'a.hedge', /no pool/, () => one(upper, TEXT, { hedge: { after: '1s' } })],
  ['a hedge with neither', 'a.hedge', /"after" or "percentile"/, () => policy({ hedge: {} })],
  ['a hedge with both', 'a.hedge', /"after" or "percentile"/, () => policy({ hedge: { after: '1s', percentile: 95 } })],
  ['a hedge below the median', 'a.hedge.percentile', /between 50/, () => policy({ hedge: { percentile: 10 } })],
  ['a hedge after the attempt’s end', 'a.hedge.after', /timeout\.attempt/, () => policy({ hedge: { after: '2m' } })],
  ['an unknown priority', 'a.priority', /interactive, default, batch/, () => policy({ priority: 'urgent' })],
  ['an unknown execution', 'a.execution', /"queued" or "inline"/, () => policy({ execution: 'fast' })],
  ['a cache without a key', 'a.cache.key', /missing/, () => policy({ cache: semantic({} as Anything) })],
  [
    'a cache’s key that is a number',
    'a.cache.key',
    /texts/,
    () => define(({ input, stage }) => stage('a', ask, PROMPT, { cache: semantic({ key: input.n }) })),
  ],
  [
    'a similarity of 0',
    'a.cache.minSimilarity',
    /above 0/,
    () => policy({ cache: semantic({ key: 'x' as Anything, minSimilarity: 0 }) }),
  ],
  [
    'a cache that keeps nothing',
    'a.cache.ttl',
    /duration/,
    () => policy({ cache: semantic({ key: 'x' as Anything, ttl: '0s' }) }),
  ],
  [
    'a cache without an embedder',
    'a.cache.embedder',
    /name a pool/,
    () => policy({ cache: semantic({ key: 'x' as Anything, embedder: '' }) }),
  ],
  [
    'a fallback of another kind',
    'a.fallback',
    /embed stage where chat/,
    () => policy({ fallback: [embed({ model: 'minilm' })] }),
  ],
  [
    'a fallback without the schema',
    'a.fallback',
    /without the schema/,
    () => one(chat({ model: 'x', output: z.object({ n: z.number() }) }), PROMPT, { fallback: [ask] }),
  ],
  [
    'a fallback with another schema',
    'a.fallback',
    /another schema/,
    () =>
      one(chat({ model: 'x', output: z.object({ n: z.number() }) }), PROMPT, {
        fallback: [chat({ model: 'y', output: z.object({ m: z.number() }) })],
      }),
  ],
  [
    'a fallback with other labels',
    'a.fallback',
    /another labels/,
    () =>
      one(classify({ model: 'x', labels: ['a', 'b'] }), TEXT, {
        fallback: [classify({ model: 'y', labels: ['a', 'c'] })],
      }),
  ],
  [
    'a fallback with other tensors',
    'a.fallback',
    /another outputs/,
    () =>
      one(
        infer({ model: 'x', inputs: {}, outputs: { Y: tensor({ dtype: 'FP32', shape: [1] }) } }),
        {},
        {
          fallback: [infer({ model: 'y', inputs: {}, outputs: { Y: tensor({ dtype: 'FP32', shape: [2] }) } })],
        },
      ),
  ],
  ['a rung that always holds', 'a.degrade', /always hold/, () => policy({ degrade: [{ below: '1h', to: ask }] })],
  [
    'two rungs at one height',
    'a.degrade',
    /two rungs/,
    () => policy({ degrade: ['10s', '10s'].map((below) => ({ below, to: ask })) }),
  ],
  [
    'a cached rung without a cache',
    'a.degrade',
    /needs a cache/,
    () => policy({ degrade: [{ below: '10s', to: 'cached' }] }),
  ],
  [
    'a skipped rung of a needed stage',
    'a.degrade',
    /optional: true/,
    () => policy({ degrade: [{ below: '10s', to: 'skip' }] }),
  ],
  ['a rung that is none', 'a.degrade', /no rung/, () => policy({ degrade: [{ below: '10s', to: 'cache' }] })],
  ['a reserve beyond the deadline', 'a.reserve', /deadline/, () => policy({ reserve: '1h' })],
  [
    'reserves that are together beyond the deadline',
    'b.reserve',
    /240000 ms together/,
    () =>
      define(
        ({ stage }) => {
          const a = stage('a', upper, TEXT, { reserve: '90s' });
          return { x: stage('b', upper, { text: a.text }, { reserve: '150s' }) };
        },
        { deadline: '3m' },
      ),
  ],
];

const CONTROL: readonly Case[] = [
  ['a deadline that is no time', 'deadline', /duration/, () => define(() => ({}), { deadline: 'soon' })],
  ['a deadline of nothing', 'deadline', /duration/, () => define(() => ({}), { deadline: 0 })],
  [
    'a condition that is text',
    'w.condition',
    /text where a boolean/,
    () => define(({ input, when }) => ({ x: when('w', input.q, () => 1) })),
  ],
  [
    'a branch that is no function',
    'w',
    /needs a function/,
    () => define(({ input, when }) => ({ x: when('w', eq(input.q, ''), 'x') })),
  ],
  [
    'an async branch',
    'w',
    /must not be async/,
    () => define(({ input, when }) => ({ x: when('w', eq(input.q, ''), async () => 1) })),
  ],
  [
    'a loop over text',
    'e.over',
    /is not a list/,
    () => define(({ input, each }) => ({ x: each('e', input.q, () => 1) })),
  ],
  [
    'a loop without a width',
    'e.concurrency',
    /between 1 and 256/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { concurrency: 0 }) })),
  ],
  [
    'a misspelt option of a loop',
    'e.paralel',
    /there are concurrency/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { paralel: 2 }) })),
  ],
  [
    'an unknown way to fail',
    'e.onFailure',
    /"fail", "null" or "drop"/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { onFailure: 'skip' }) })),
  ],
  [
    'a repeat without a bound',
    'r.atMost',
    /between 1 and 10000/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => true }) })),
  ],
  [
    'a repeat without an end',
    'r.until',
    /a function of the state/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s, { atMost: 3 }) })),
  ],
  [
    'a repeat without options',
    'r',
    /until, atMost/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s) })),
  ],
  [
    'a repeat whose state loses a field',
    'r.body.m',
    /not one of its fields: n/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, () => ({ m: input.n }), { until: () => true, atMost: 3 }),
      })),
  ],
  [
    'a repeat whose state changes its type',
    'r.body.n',
    /text where a number/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, () => ({ n: input.q }), { until: () => true, atMost: 3 }),
      })),
  ],
  [
    'an end that is text',
    'r.until',
    /text where a boolean/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => input.q, atMost: 3 }),
      })),
  ],
  [
    'an unknown way to reach the bound',
    'r.onLimit',
    /"accept" or "fail"/,
    () =>
      define(({ repeat }) => ({
        x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => true, atMost: 3, onLimit: 'stop' }),
      })),
  ],
  ['a race of one', 'r', /two contenders/, () => define(({ race }) => ({ x: race('r', { only: () => 1 }) }))],
  [
    'a contender’s name with capitals',
    'r.Fast',
    /lower-case/,
    () => define(({ race }) => ({ x: race('r', { Fast: () => 1, slow: () => 2 }) })),
  ],
  ['a step that is no pipeline', 's', /pipeline\(\)/, () => define(({ run }) => ({ x: run('s', {}, {}) }))],
];

const inner = (options: object = {}) =>
  pipeline('inner', { input: z.object({ q: z.string() }), ...options }, ({ input }) => ({ q: input.q }));
const SUB: readonly Case[] = [
  [
    'an input that the pipeline does not have',
    's.input.r',
    /not a field/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.q, r: 1 }) })),
  ],
  ['an input that is missing', 's.input.q', /missing/, () => define(({ run }) => ({ x: run('s', inner(), {}) }))],
  [
    'an input of another type',
    's.input.q',
    /a number where text/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.n }) })),
  ],
  [
    'an unknown way to run',
    's.as',
    /"inline" or "child"/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.q }, { as: 'fork' }) })),
  ],
  [
    'a child that may outlive the run',
    's',
    /deadline/,
    () => define(({ input, run }) => ({ x: run('s', inner({ deadline: '2h' }), { q: input.q }, { as: 'child' }) })),
  ],
];

/** What the pools of the tests can do. */
const POOLS: Readonly<Record<string, PoolDescription>> = {
  whisper: { connector: 'triton', kind: 'transcribe', devices: ['cpu0'], capabilities: new Set(['stream']) },
  minilm: { connector: 'triton', kind: 'embed', devices: ['cpu0'], capabilities: new Set(['stream']) },
  assistant: { connector: 'plain', kind: 'chat', devices: ['cpu0'], capabilities: new Set() },
};
const known = (
  use: Anything,
  input: unknown,
  options?: Anything,
): readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline] => [
  'MODEL_NOT_CONFIGURED',
  one(use, input, options),
];
const lacking = (
  use: Anything,
  options?: Anything,
): readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline] => [
  'CAPABILITY_MISSING',
  one(use, PROMPT, options),
];

type Misplaced = readonly [
  string,
  string,
  RegExp,
  () => readonly ['MODEL_NOT_CONFIGURED' | 'CAPABILITY_MISSING', Pipeline],
];
const MISPLACED: readonly Misplaced[] = [
  ['a model without a pool', 'a.model', /no pool serves the model "gpt"/, () => known(chat({ model: 'gpt' }), PROMPT)],
  [
    'a pool of another kind',
    'a.model',
    /serves transcribe stages, not chat/,
    () => known(chat({ model: 'whisper' }), PROMPT),
  ],
  [
    'a fallback without a pool',
    'a.fallback',
    /"gpt"/,
    () => known(ask, PROMPT, { fallback: [chat({ model: 'gpt' })] }),
  ],
  [
    'a rung without a pool',
    'a.fallback',
    /"gpt"/,
    () => known(ask, PROMPT, { degrade: [{ below: '9s', to: chat({ model: 'gpt' }) }] }),
  ],
  [
    'a cache’s embedder without a pool',
    'a.cache.embedder',
    /"bge"/,
    () => known(ask, PROMPT, { cache: semantic({ key: 'x' as unknown as Ref<string>, embedder: 'bge' }) }),
  ],
  [
    'an index’s embedder without a pool',
    'a.embedder',
    /"bge"/,
    () => known(retrieve({ index: 'i', embedder: 'bge' }), { query: 'x' }),
  ],
  ['speech without a pool', 'a.model', /"tts"/, () => known(synthesize({ model: 'tts' }), TEXT)],
  [
    'a child’s model without a pool',
    'a.model',
    /"gpt"/,
    () => {
      const child = pipeline('child', { input: z.object({}) }, ({ stage }) => ({
        x: stage('a', chat({ model: 'gpt' }), PROMPT).text,
      }));
      return ['MODEL_NOT_CONFIGURED', define(({ run }) => ({ x: run('s', child, {}, { as: 'child' }) }))];
    },
  ],
  [
    'structured output that the server does not have',
    'a.model',
    /structured-output/,
    () => lacking(chat({ model: 'assistant', output: z.object({}) })),
  ],
  [
    'tools that the server does not have',
    'a.model',
    /tools/,
    () => lacking(chat({ model: 'assistant', tools: [{ name: 't', description: '', input: z.object({}) }] })),
  ],
  [
    'a first chunk of a server that does not stream',
    'a.model',
    /stream/,
    () => lacking(ask, { timeout: { firstChunk: '5s' } }),
  ],
];

function refusal(act: () => unknown): MillraceError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it was accepted');
}

describe.each<[string, readonly Case[]]>([
  ['names and shape', NAMES],
  ['references', REFERENCES],
  ['stages’ inputs', STAGE_INPUTS],
  ['options of stage kinds', KIND_OPTIONS],
  ['policies', POLICIES],
  ['control flow', CONTROL],
  ['pipelines as steps', SUB],
])('a definition with mistakes in %s', (_, cases) => {
  it.each(cases)('%s', (__, field, says, definition) => {
    const { code, message, details } = refusal(definition);
    expect(code).toBe('INVALID_PIPELINE');
    expect(details.fields?.[0]?.field).toBe(field);
    expect(message).toMatch(says);
    expect(details.pipeline).toMatch(/^(p|Voice|other)$/);
  });
});

describe('a definition that the servers cannot carry out', () => {
  it.each(MISPLACED)('%s', (_, field, says, make) => {
    const [expected, { plan }] = make();
    const { code, message, details } = refusal(() => place(plan, (model) => POOLS[model], 'queue'));
    expect(code).toBe(expected);
    expect(details.fields?.[0]?.field).toBe(field);
    expect(message).toMatch(says);
  });
});

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
