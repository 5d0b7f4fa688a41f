import type { AddressInfo } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { assistant, chatModel } from '../../../../pipelines/catalog/index.js';
import { chat, image, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';

/** Anthropic's client, unchanged, at a gateway whose runs are scripted. */

const looks = pipeline(
  'looks',
  { input: z.object({ prompt: z.string(), images: z.array(image()).optional() }) },
  ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text }),
);

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let gateway: TestGateway;
let client: Anthropic;
let events: RunEvent[];

async function start(change: Parameters<typeof testGateway>[1] = {}, apiKey = 'none') {
  gateway = await testGateway(
    {},
    {
      pipelines: [chatModel, assistant, looks] as unknown as Pipeline[],
      placementOf: () => ({}),
      events: toldEvents(() => events),
      ...change,
    },
  );
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = gateway.app.server.address() as AddressInfo;
  client = new Anthropic({ baseURL: `http://127.0.0.1:${port}`, apiKey, maxRetries: 0 });
}

beforeEach(async () => {
  events = [];
  await start();
});
afterEach(() => gateway.close());

const usage = { inputTokens: 7, outputTokens: 2 };
const stages = [
  { stage: 'answer', kind: 'chat', connector: 'x', model: 'm', device: '', status: 'done', usage } as const,
];
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages });
};
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];
const why = { model: 'chat', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Why?' }] };
const tool = {
  name: 'look',
  description: 'Looks',
  input_schema: { type: 'object' as const, properties: { at: { type: 'string' } } },
};

describe('a message', () => {
  test('is the run’s answer, with the tokens of its model calls', async () => {
    answers({ text: 'So.', finish: 'length' });
    const message = await client.messages.create({
      ...why,
      system: 'Be brief.',
      ...{ temperature: 0.5, top_k: 40 },
    });
    expect(message).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'chat',
      content: [{ type: 'text', text: 'So.' }],
      stop_reason: 'max_tokens',
      usage: { input_tokens: 7, output_tokens: 2 },
    });
    expect(inputGiven()).toMatchObject({
      prompt: 'Why?',
      maxTokens: 64,
      topK: 40,
      temperature: 0.5,
      history: [{ role: 'system', content: 'Be brief.' }],
    });
  });

  test('has calls of the client’s tools, whose results come with the next', async () => {
    answers({ text: 'I look.', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 'x' } }] });
    const first = await client.messages.create({ ...why, tools: [tool], tool_choice: { type: 'any' } });
    expect(first.stop_reason).toBe('tool_use');
    expect(first.content).toMatchObject([
      { type: 'text', text: 'I look.' },
      { type: 'tool_use', id: 'c1', name: 'look', input: { at: 'x' } },
    ]);
    expect(inputGiven()).toMatchObject({
      tools: [{ name: 'look', description: 'Looks', schema: tool.input_schema }],
      toolChoice: 'required',
    });
    gateway.temporal.runs.clear();
    await client.messages.create({
      ...why,
      messages: [
        ...why.messages,
        { role: 'assistant', content: first.content },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'c1', content: [{ type: 'text', text: 'seen' }], is_error: true },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
    });
    expect(inputGiven()).toMatchObject({
      prompt: 'And?',
      history: [
        { role: 'user', content: 'Why?' },
        {
          role: 'assistant',
          content: 'I look.',
          toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 'x' } }],
        },
        { role: 'tool', content: 'Error: seen', toolCallId: 'c1' },
      ],
    });
  });

  test('is streamed, text and calls', async () => {
    const here = { stage: 'answer', path: 'answer', attempt: 1 } as const;
    events = [
      { ...here, type: 'stage.started', kind: 'chat', model: 'm' },
      { ...here, type: 'stage.delta', text: 'I ' },
      { ...here, type: 'stage.delta', text: 'look.' },
    ];
    answers({ text: 'I look.', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 'x' } }] });
    const stream = client.messages.stream({ ...why, tools: [tool] });
    const texts: string[] = [];
    stream.on('text', (text) => texts.push(text));
    const message = await stream.finalMessage();
    expect(texts.join('')).toBe('I look.');
    expect(message).toMatchObject({
      content: [
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: 'c1', name: 'look', input: { at: 'x' } },
      ],
      stop_reason: 'tool_use',
      usage: { output_tokens: 2 },
    });
  });

  test('may show images by value; other addresses are not fetched', async () => {
    answers({ text: 'A pixel.' });
    const ask = (source: Anthropic.ImageBlockParam['source']) =>
      client.messages.create({
        ...why,
        model: 'looks',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image', source },
              { type: 'text', text: 'What?' },
            ],
          },
        ],
      });
    await ask({ type: 'base64', media_type: 'image/png', data: PIXEL });
    expect(inputGiven()).toMatchObject({ prompt: 'What?', images: [{ mime: 'image/png' }] });
    await expect(ask({ type: 'url', url: 'http://169.254.169.254/' })).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('messages[0]'),
    });
  });

  test('of a pipeline without a limit of tokens needs none', async () => {
    answers({ reply: 'So.' });
    await client.messages.create({ ...why, model: 'assistant' });
    expect(inputGiven()).toEqual({ text: 'Why?' });
  });

  test('may say of its speed that it is the usual one', async () => {
    answers({ text: 'So.' });
    await client.messages.create({ ...why, speed: 'standard' });
    expect(inputGiven()).not.toHaveProperty('speed');
    const refused = await client.messages.create({ ...why, speed: 'fast' }).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(Anthropic.BadRequestError);
  });
});

describe('an error is the client’s own exception', () => {
  test.each([
    ['a model that is none', { model: 'gpt' }, Anthropic.NotFoundError, 'not_found_error'],
    ['a parameter that is unknown', { top_a: 1 }, Anthropic.BadRequestError, 'invalid_request_error'],
    [
      'what a pipeline does not take',
      { model: 'assistant', temperature: 0 },
      Anthropic.BadRequestError,
      'invalid_request_error',
    ],
  ])('%s', async (_, more, type, kind) => {
    const error = await client.messages.create({ ...why, ...more }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ error: { type: 'error', error: { type: kind } }, requestID: expect.any(String) });
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('of a run that fails', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    const error = await client.messages.create(why).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ error: { error: { type: 'overloaded_error', code: 'BACKEND_UNAVAILABLE' } } });
  });

  test('without a key, and with the client’s usual header', async () => {
    await gateway.close();
    const { secret, key } = issueKey({ name: 'k', tenant: 'acme', permissions: ['run', 'read'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
    await start({ authenticator }, secret);
    answers({ text: 'So.' });
    expect((await client.messages.create(why)).content).toHaveLength(1);
    const stranger = client.withOptions({ apiKey: 'mr_wrong' });
    await expect(stranger.messages.create(why)).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
  });
});
