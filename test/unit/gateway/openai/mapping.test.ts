import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { items } from '../../../../gateway/openai/responses-items.js';
import { turnsOf } from '../../../../gateway/openai/responses-turns.js';
import { messageItemsOf } from '../../../../gateway/openai/stored-responses.js';
import { textStages } from '../../../../gateway/openai/text-stages.js';
import { audio, chat, embed, MillraceError, type Pipeline, pipeline, text } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { ContentPart } from '../../../../pipelines/stages/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const model = chat({ model: 'assistant' });
const question = z.object({ question: z.string(), short: z.boolean().default(false) });

const branched = pipeline('branched', { input: question }, ({ input, stage, when }) => ({
  text: when(
    'length',
    input.short,
    () => stage('brief', model, { prompt: input.question }).text,
    () => stage('long', model, { prompt: input.question }).text,
  ),
}));
const constant = pipeline('constant', { input: question }, ({ input, stage, when }) => ({
  text: when(
    'known',
    input.short,
    () => 'No idea.',
    () => stage('answer', model, { prompt: input.question }).text,
  ),
}));
const raced = pipeline('raced', { input: question }, ({ input, stage, race }) => ({
  text: race('models', {
    one: () => stage('one', model, { prompt: input.question }),
    other: () => ({ text: stage('two', model, { prompt: input.question }).text }),
  }).value.text,
}));
const mixed = pipeline('mixed', { input: question }, ({ input, stage, when }) => ({
  text: when(
    'kind',
    input.short,
    () => 1,
    () => stage('answer', model, { prompt: input.question }).text,
  ),
}));

describe('the text of a pipeline', () => {
  test.each([
    ['both branches', branched],
    ['a branch and a constant', constant],
    ['a race', raced],
  ])('from %s makes it a chat model', (_, { openai, noModel }) => {
    expect(openai.chat).toMatchObject({ input: 'question', output: 'text' });
    expect(noModel).toBeUndefined();
  });

  test('is streamed from the branch that is taken, and not from contenders, of which one is dropped', () => {
    expect([...textStages(branched.plan, 'text')]).toEqual(['brief', 'long']);
    expect([...textStages(raced.plan, 'text')]).toEqual([]);
  });

  test('that is a text in one branch only makes it none', () => {
    expect(mixed.openai).toEqual({});
    expect(mixed.noModel).toMatch(/output field "text" has another type/);
  });
});

describe('a pipeline that is no model says why:', () => {
  const said = { text: z.string() };
  test.each<[string, z.ZodRawShape, (input: never) => JsonObject, RegExp]>([
    ['a field that no request has', { ...said, tone: z.string() }, () => ({ reply: '' }), /input’s field "tone"/],
    ['no output', said, () => ({ summary: '' }), /no output field is named text, reply, answer.*output }/],
    ['no input', { topic: z.string() }, () => ({ text: '' }), /no input field is named messages, prompt/],
    ['a wrong type', { question: z.number() }, () => ({ text: '' }), /input field "question" has another type/],
    ['nothing alike', { topic: z.string() }, () => ({ summary: '' }), /map them, e\.g\. openai: { chat/],
  ])('%s', (_, shape, output, why) => {
    const defined = pipeline('p', { input: z.object(shape) }, ({ input }) => output(input as never));
    expect(defined.openai).toEqual({});
    expect(defined.noModel).toMatch(why);
    expect(defined.noModel).not.toContain('\n');
  });

  test('that it lacks no more than a name', () => {
    const defined = pipeline('p', { input: z.object(said) }, ({ input, stage }) => ({
      v: stage('embed', embed({ model: 'minilm' }), { text: input.text }).embedding,
    }));
    expect(defined.noModel).toMatch(/^for embeddings no output field is named embeddings, embedding; name the field/);
  });

  test('its author', () => {
    const hidden = pipeline('p', { input: z.object(said), openai: false }, ({ input }) => ({ text: input.text }));
    expect(hidden.noModel).toBe('its definition says openai: false');
  });
});

/** Speech with several voices, with one, and with any. */
const speech = (name: string, voice?: z.ZodType) =>
  pipeline(
    name,
    { input: z.object({ text: z.string(), sample: audio().optional(), ...(voice && { voice }) }) },
    ({ input }) => ({
      audio: input.sample,
    }),
  );
const mapped = pipeline(
  'mapped',
  {
    input: z.object({ q: z.string(), instructions: z.string().optional() }),
    openai: { chat: { input: 'q', output: 'a', system: 'instructions' } },
  },
  ({ input, stage }) => ({ a: stage('answer', model, { prompt: text`${input.instructions} ${input.q}` }).text }),
);

let gateway: TestGateway;
beforeEach(async () => {
  const pipelines = [
    speech('single'),
    speech('one', z.enum(['anna'])),
    speech('several', z.enum(['anna', 'ben'])),
    speech('any', z.string()),
    mapped,
    branched,
    mixed,
  ];
  gateway = await testGateway({}, { pipelines: pipelines as unknown as Pipeline[], placementOf: () => ({}) });
  gateway.temporal.onStart = (run) => run.end({ output: { a: 'So.', text: 'So.' }, stages: [] });
});
afterEach(() => gateway.close());

const post = (url: string, payload: object) => gateway.app.inject({ method: 'POST', url: `/v1/${url}`, payload });
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];

describe('a voice', () => {
  test.each([
    ['single', { text: 'Hi.' }],
    ['one', { text: 'Hi.', voice: 'anna' }],
    ['any', { text: 'Hi.', voice: 'alloy' }],
  ])('of any name is accepted by the pipeline "%s"', async (name, input) => {
    await post('audio/speech', { model: name, input: 'Hi.', voice: 'alloy', response_format: 'wav' });
    expect(inputGiven()).toEqual(input);
  });

  test('must be one of several', async () => {
    const asked = { model: 'several', input: 'Hi.', response_format: 'wav' };
    const refused = await post('audio/speech', { ...asked, voice: 'alloy' });
    expect(refused.statusCode).toBe(400);
    expect(refused.json().error).toMatchObject({
      param: 'voice',
      message: expect.stringContaining('"alloy" is not a voice of "several"; its voices are anna, ben'),
    });
    expect(gateway.temporal.runs.size).toBe(0);
    await post('audio/speech', { ...asked, voice: { id: 'ben' } });
    expect(inputGiven()).toEqual({ text: 'Hi.', voice: 'ben' });
  });
});

describe('system messages', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'developer', content: 'Be kind.' },
    { role: 'user', content: 'Why?' },
  ];

  test('become the field that the author maps', async () => {
    const response = await post('chat/completions', { model: 'mapped', messages });
    expect(response.statusCode).toBe(200);
    expect(inputGiven()).toEqual({ q: 'Why?', instructions: 'Be brief.\n\nBe kind.' });
  });

  test('as instructions of a response too, and none are needed', async () => {
    await post('responses', { model: 'mapped', input: 'Why?', instructions: 'Be brief.' });
    expect(inputGiven()).toEqual({ q: 'Why?', instructions: 'Be brief.' });
    gateway.temporal.runs.clear();
    await post('responses', { model: 'mapped', input: 'Why?' });
    expect(inputGiven()).toEqual({ q: 'Why?' });
  });

  test('are refused where the author maps none', async () => {
    const refused = await post('chat/completions', { model: 'branched', messages });
    expect(refused.statusCode).toBe(400);
    expect(refused.json().error).toMatchObject({
      param: 'messages[0]',
      message: expect.stringContaining('no system messages'),
    });
  });

  const define = (system: string) =>
    pipeline(
      'p',
      {
        input: z.object({ q: z.string(), n: z.number().optional() }),
        openai: { chat: { input: 'q', output: 'a', system } },
      },
      ({ input }) => ({
        a: input.q,
      }),
    );
  test.each([
    ['x', 'the pipeline’s input has no field "x"'],
    ['q', '"q" receives the user’s messages'],
    ['n', '"n" is not a text'],
  ])('cannot be mapped to the field "%s"', (system, why) => {
    expect(() => define(system)).toThrow(MillraceError);
    expect(() => define(system)).toThrow(`"openai.chat.system" ${why}`);
  });
});

test('a request for a pipeline that is no model says why it is none', async () => {
  const refused = await post('chat/completions', { model: 'mixed', messages: [{ role: 'user', content: 'Why?' }] });
  expect(refused.statusCode).toBe(404);
  expect(refused.json().error.message).toMatch(
    /the pipeline of this name is none, since for chat the output field "text"/,
  );
});

test('the listed turns of a conversation can be sent again: each medium stays what it is', () => {
  const medium = (mime: string) => ({
    uri: `artifact://acme/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime,
    bytes: 3,
  });
  const parts: ContentPart[] = [
    { type: 'audio', audio: medium('audio/mpeg') },
    { type: 'image', image: medium('image/png') },
    { type: 'file', file: medium('application/pdf'), name: 'a.pdf' },
  ];
  const turn = { param: 'input[0]', message: { role: 'user' as const, content: 'Hear:', parts } };
  const listed = messageItemsOf([turn], 'r');
  expect(listed[0]?.content).toContainEqual({
    type: 'input_audio',
    input_audio: { data: medium('').uri, format: 'mp3' },
  });
  const { uri } = medium('');
  expect(turnsOf(items.parse(listed), () => 'input[0]')).toEqual([
    {
      param: 'input[0]',
      message: {
        role: 'user',
        content: 'Hear:',
        parts: [
          { type: 'audio', audio: { uri } },
          { type: 'image', image: { uri } },
          { type: 'file', file: { uri }, name: 'a.pdf' },
        ],
      },
    },
  ]);
});
