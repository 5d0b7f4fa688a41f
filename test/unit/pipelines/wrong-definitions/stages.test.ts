import { expect, it } from 'vitest';
import { z } from 'zod';
import { checkUse } from '../../../../pipelines/definition/kind-options.js';
import {
  approve,
  audio,
  classify,
  code,
  embed,
  embedAll,
  http,
  infer,
  media,
  rerank,
  retrieve,
  split,
  synthesize,
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
    'a language in words',
    'a.input.language',
    /must be a language code such as de/,
    () =>
      define(({ input, stage }) => ({
        x: stage('a', transcribe({ model: 'whisper' }), { audio: input.speech, language: 'German' }),
      })),
  ],
  [
    'a use without options',
    'a',
    /object/,
    () => one({ ...transcribe({ model: 'whisper' }), with: undefined }, { audio: null }),
  ],
  [
    'a voice five times as fast',
    'a.input.speed',
    /does not fit/,
    () => one(synthesize({ model: 'm' }), { text: 'x', speed: 5 }),
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
  ['more passages than a result holds', 'a.k', /1000 or less/, () => one(retrieve({ index: 'i', k: 2_000 }), {})],
  ['parts of 20 minutes', 'a.longest', /between 1 and 600 seconds/, () => one(split({ longest: '20m' }), {})],
  ['parts of half a second', 'a.longest', /between 1 and 600 seconds/, () => one(split({ longest: '500ms' }), {})],
  ['parts of a day', 'a.longest', /between 1 and 600 seconds/, () => one(media.split({ longest: '1d' }), {})],
  ['frames two days apart', 'a.every', /24 hours or less/, () => one(media.frames({ every: '2d' }), {})],
  ['frames of 8 pixels', 'a.width', /16 or more/, () => one(media.frames({ width: 8 }), {})],
  ['101 frames', 'a.most', /100 or less/, () => one(media.frames({ most: 101 }), {})],
  ['an image of no size', 'a.width', /or height must be given/, () => one(media.resize({}), {})],
  ['an image that is too high', 'a.height', /8192 or less/, () => one(media.resize({ height: 9_000 }), {})],
  ['an unknown fit', 'a.fit', /inside, cover, fill/, () => one(media.resize({ width: 1, fit: 'x' as Anything }), {})],
  ['a video of no size', 'a.width', /or height must be given/, () => one(media.resizeVideo({}), {})],
  ['a video of one pixel', 'a.width', /2 or more/, () => one(media.resizeVideo({ width: 1 }), {})],
  ['a video that is too wide', 'a.width', /4096 or less/, () => one(media.resizeVideo({ width: 8_192 }), {})],
  [
    'a video of too many pixels',
    'a.width',
    /times height must be 9437184 pixels or less/,
    () => one(media.resizeVideo({ width: 4_096, height: 4_096 }), {}),
  ],
  ['a negative margin', 'a.margin', /0 or more/, () => one(media.crop({ margin: -1 }), {})],
  ['tiles of 8 pixels', 'a.size', /16 or more/, () => one(media.tile({ size: 8 }), {})],
  ['tiles that cover each other', 'a.overlap', /less than size/, () => one(media.tile({ size: 32, overlap: 32 }), {})],
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

it.each([
  split({ longest: '1s' }),
  split({ longest: '10m' }),
  media.frames({ every: '1d', most: 100, width: 16 }),
  media.resize({ height: 8_192, fit: 'cover' }),
  media.resizeVideo({ width: 4_096, height: 2_304 }),
  media.crop({ margin: 0 }),
  media.tile({ size: 16, overlap: 15 }),
  retrieve({ index: 'i', k: 1_000 }),
])('options at their bounds are accepted: $kind $with', (use) => {
  expect(() => checkUse('a', use as Anything)).not.toThrow();
});
