import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { assistant, chatModel, ragAnswer } from '../../../../pipelines/catalog/index.js';
import { chat, chatInput, converse, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** Takes the parameter and returns nothing of it. */
const mute = pipeline('mute', { input: chatInput }, ({ input, stage }) => ({
  text: stage('answer', converse({ model: 'assistant' }), input).text,
}));
const tolerant = pipeline(
  'tolerant',
  { input: z.object({ prompt: z.string() }), openai: { chat: { ignore: ['logprobs'] } } },
  ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text }),
);

let gateway: TestGateway;
beforeEach(async () => {
  const pipelines = [chatModel, assistant, ragAnswer, mute, tolerant] as unknown as Pipeline[];
  gateway = await testGateway({}, { pipelines, placementOf: () => ({}) });
});
afterEach(() => gateway.close());

const post = (body: object) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    payload: { model: 'chat', messages: [{ role: 'user', content: 'Why?' }], ...body },
  });
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};

describe('probabilities of tokens', () => {
  const logprobs = [
    { token: 'Só', logprob: -0.1, top: [{ token: 'Oh', logprob: -2.5 }] },
    { token: '\uFFFD', logprob: -0.2, top: [] },
  ];
  const content = [
    {
      token: 'Só',
      logprob: -0.1,
      bytes: [83, 195, 179],
      top_logprobs: [{ token: 'Oh', logprob: -2.5, bytes: [79, 104] }],
    },
    { token: '\uFFFD', logprob: -0.2, bytes: null, top_logprobs: [] },
  ];
  const asked = { logprobs: true, top_logprobs: 1 };

  test('are those of the answer', async () => {
    answers({ text: 'Só.', finish: 'stop', logprobs });
    const response = await post(asked);
    expect(response.json()).toMatchObject({ choices: [{ logprobs: { content, refusal: null } }] });
    expect(gateway.temporal.only().options.args[0].logprobs).toBe(1);
  });

  test('without alternatives', async () => {
    answers({ text: 'Só.', logprobs });
    await post({ logprobs: true });
    expect(gateway.temporal.only().options.args[0].logprobs).toBe(0);
  });

  test('come before the end of a stream', async () => {
    answers({ text: 'Só.', finish: 'stop', logprobs });
    const { body } = await post({ ...asked, stream: true });
    const chunks = [...body.matchAll(/^data: (\{.*)$/gm)].map(
      ([, line]) => JSON.parse(line ?? '') as { choices: { logprobs: object | null; finish_reason: string | null }[] },
    );
    expect(chunks.flatMap(({ choices }) => choices.map(({ logprobs }) => logprobs).filter(Boolean))).toEqual([
      { content, refusal: null },
    ]);
    expect(chunks.at(-2)?.choices[0]?.logprobs).not.toBeNull();
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  test('that were not asked for are not given', async () => {
    answers({ text: 'Só.', logprobs });
    expect((await post({ logprobs: false })).json()).toMatchObject({ choices: [{ logprobs: null }] });
  });

  test.each([false, true])('that the server does not give are an error (stream: %s)', async (stream) => {
    answers({ text: 'So.' });
    const { statusCode, body } = await post({ ...asked, stream });
    expect(statusCode).toBe(stream ? 200 : 500);
    expect(body).toContain('CAPABILITY_MISSING');
    expect(body).toContain('vLLM, SGLang and llama.cpp do');
    expect(body).not.toContain('[DONE]');
  });

  test('are none beside calls of tools', async () => {
    answers({ text: '', toolCalls: [{ id: 'c1', name: 'look', arguments: {} }] });
    expect((await post(asked)).json()).toMatchObject({ choices: [{ logprobs: null, finish_reason: 'tool_calls' }] });
  });

  test('are let go where the author says so', async () => {
    answers({ text: 'So.' });
    expect((await post({ model: 'tolerant', ...asked })).statusCode).toBe(200);
  });

  test.each([
    ['a pipeline without the field', { model: 'rag-answer', ...asked }, 'logprobs'],
    ['a pipeline that does not return them', { model: 'mute', ...asked }, 'logprobs'],
    [
      'an answer as audio',
      { model: 'assistant', ...asked, modalities: ['audio'], audio: { format: 'wav' } },
      'logprobs',
    ],
    ['alternatives alone', { top_logprobs: 1 }, 'top_logprobs'],
    ['too many alternatives', { logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  ])('are refused for %s', async (_, body, param) => {
    const response = await post(body);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param, code: 'INVALID_INPUT' } });
    expect(gateway.temporal.runs.size).toBe(0);
  });
});

describe('probabilities of tokens in the Responses API', () => {
  const include = ['message.output_text.logprobs'];
  const logprobs = [{ token: 'So', logprob: -0.1, top: [{ token: 'Oh', logprob: -2.5 }] }];
  const content = [
    { token: 'So', logprob: -0.1, bytes: [83, 111], top_logprobs: [{ token: 'Oh', logprob: -2.5, bytes: [79, 104] }] },
  ];
  const respond = (body: object) =>
    gateway.app.inject({ method: 'POST', url: '/v1/responses', payload: { model: 'chat', input: 'Why?', ...body } });

  test('are those of the message', async () => {
    answers({ text: 'So', finish: 'stop', logprobs });
    const response = (await respond({ include, top_logprobs: 1 })).json();
    expect(response).toMatchObject({ top_logprobs: 1, output: [{ content: [{ text: 'So', logprobs: content }] }] });
    expect(gateway.temporal.only().options.args[0].logprobs).toBe(1);
  });

  test('come at the end of its text in a stream', async () => {
    answers({ text: 'So', finish: 'stop', logprobs });
    const { body } = await respond({ include, top_logprobs: 1, stream: true });
    const events = [...body.matchAll(/^data: (\{.*)$/gm)].map(
      ([, line]) => JSON.parse(line ?? '') as { type: string; logprobs?: unknown; part?: { logprobs?: unknown } },
    );
    const of = (type: string) => events.find((event) => event.type === type);
    expect(of('response.output_text.done')?.logprobs).toEqual(content);
    expect(of('response.content_part.done')?.part?.logprobs).toEqual(content);
    expect(of('response.completed')).toMatchObject({
      response: { output: [{ content: [{ logprobs: content }] }] },
    });
  });

  test('are none unless they are asked for', async () => {
    answers({ text: 'So', finish: 'stop', logprobs });
    expect((await respond({ include: [], top_logprobs: 0 })).json()).toMatchObject({
      top_logprobs: null,
      output: [{ content: [{ logprobs: [] }] }],
    });
  });

  test('that the server does not give are an error', async () => {
    answers({ text: 'So.' });
    expect((await respond({ include })).json()).toMatchObject({
      error: { code: 'CAPABILITY_MISSING', param: 'include' },
    });
  });

  test('are let go where the author says so', async () => {
    answers({ text: 'So.' });
    const response = await respond({ model: 'tolerant', include });
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({ top_logprobs: null });
  });

  test.each([
    ['a pipeline that does not return them', { model: 'mute', include }, 'include'],
    ['alternatives alone', { top_logprobs: 1 }, 'top_logprobs'],
    ['too many alternatives', { include, top_logprobs: 21 }, 'top_logprobs'],
  ])('are refused for %s', async (_, body, param) => {
    const response = await respond(body);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param, code: 'INVALID_INPUT' } });
    expect(gateway.temporal.runs.size).toBe(0);
  });
});
