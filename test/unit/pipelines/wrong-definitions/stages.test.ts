import { z } from 'zod';
import {
  approve,
  audio,
  classify,
  code,
  embed,
  embedAll,
  http,
  infer,
  rerank,
  retrieve,
  split,
  tensor,
  transcribe,
  upsert,
} from '../../../../pipelines/index.js';
import { type Anything, ask, type Case, chatWith, define, one, refuses, TEXT, upper } from './refusal.js';

const taking = (input: z.ZodType) => code('taking', { input, output: z.string() }, () => 'x');

const STAGE_INPUTS: readonly Case[] = [
  [
    'a function of a text',
    'a.input',
    /takes text: a stage’s input is an object of fields/,
    () => define(({ input, stage }) => ({ x: stage('a', taking(z.string()), input.q) })),
  ],
  [
    'a function of a list',
    'a.input',
    /takes a list: a stage’s input is an object of fields/,
    () => define(({ input, stage }) => ({ x: stage('a', taking(z.array(z.string())), input.words) })),
  ],
  [
    'a function whose input has an async rule',
    'taking.input.q',
    /async rule.*code\(\) function/,
    () =>
      define(({ input, stage }) => ({
        x: stage('a', taking(z.object({ q: z.string().refine(async () => true) })), input),
      })),
  ],
  ['no input', 'a.input.prompt', /missing; it must be text/, () => one(ask, {})],
  [
    'an input that only other fields have',
    'a.input.prompt',
    /missing; it must be text/,
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
    'an embedding of a value that may be absent',
    'a.input.text',
    /either\(\)/,
    () => define(({ input, stage }) => ({ x: stage('a', embed({ model: 'm' }), { text: input.hint }) })),
  ],
  [
    'an embedding of nothing',
    'a.input.text',
    /give one of text, image, audio and video/,
    () => one(embed({ model: 'm' }), {}),
  ],
  [
    'an embedding of an input that has nothing to embed',
    'a.input',
    /exactly one of text, image, audio, video/,
    () => define(({ input, stage }) => ({ x: stage('a', embed({ model: 'm' }), input) })),
  ],
  [
    'an embedding of two things at once',
    'a.input',
    /exactly one of text, image, audio, video/,
    () =>
      define(({ input, stage }) => ({ x: stage('a', embed({ model: 'm' }), { text: input.q, audio: input.speech }) })),
  ],
  [
    'embeddings of an item that is two things',
    'a.input.items[1]',
    /exactly one of text, image, audio, video/,
    () =>
      define(({ input, stage }) => ({
        x: stage('a', embedAll({ model: 'm' }), { items: [{ text: 'x' }, { text: input.q, audio: input.speech }] }),
      })),
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
    /remove it/,
    () => one(approve({ timeout: '1m' }), { subject: 'x' }, { retry: { attempts: 2 } }),
  ],
];

refuses('stages’ inputs', STAGE_INPUTS);
refuses('options of stage kinds', KIND_OPTIONS);
