import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inspectorOf } from '../../../../media/index.js';
import { speakModel, voiceAssistant } from '../../../../pipelines/catalog/index.js';
import { MillraceError, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { testGateway } from '../../../support/test-gateway.js';
import { pieces, wavFile } from '../../../support/wav-samples.js';
import { modelsDoor } from './models-door.js';

const door = modelsDoor();

describe('a response', () => {
  const call = { id: 'c1', name: 'look', arguments: { at: 1 } };

  test('has the text and the calls as items', async () => {
    door.answers({ text: 'So.', finish: 'tools', toolCalls: [call] });
    const response = await door.post('responses', {
      model: 'chat',
      input: 'Why?',
      instructions: 'Be brief.',
      store: true,
    });
    expect(response.json()).toMatchObject({
      object: 'response',
      status: 'completed',
      store: true,
      output: [
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'So.' }] },
        { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"at":1}' },
      ],
    });
    expect(door.inputGiven()).toEqual({ prompt: 'Why?', history: [{ role: 'system', content: 'Be brief.' }] });
  });

  test.each([false, true])(
    'has usage, which clients with types require, where no server reports any (streamed: %s)',
    async (stream) => {
      door.answers({ text: 'So.' });
      const { body } = await door.post('responses', { model: 'chat', input: 'Why?', stream });
      const last = stream ? body.slice(body.lastIndexOf('data: ') + 'data: '.length) : body;
      const { response, ...whole } = JSON.parse(last) as { response?: object };
      expect(response ?? whole).toMatchObject({
        status: 'completed',
        usage: {
          ...{ input_tokens: 0, output_tokens: 0, total_tokens: 0 },
          input_tokens_details: { cached_tokens: 0 },
          output_tokens_details: { reasoning_tokens: 0 },
        },
      });
    },
  );

  test('that was cut is incomplete', async () => {
    door.answers({ text: 'So', finish: 'length' });
    const response = await door.post('responses', { model: 'chat', input: 'Why?', max_output_tokens: 1 });
    expect(response.json()).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    });
  });

  test('goes on behind the outputs of functions', async () => {
    door.answers({ text: 'So.' });
    const input = [
      { role: 'user', content: [{ type: 'input_text', text: 'Why?' }] },
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"at":1}' },
      { type: 'function_call_output', call_id: 'c1', output: 'seen' },
    ];
    await door.post('responses', { model: 'chat', input });
    expect(door.inputGiven()).toEqual({
      history: [
        { role: 'user', content: 'Why?' },
        { role: 'assistant', content: '', toolCalls: [call] },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
      ],
    });
  });

  test('streams its function calls', async () => {
    door.answers({ text: '', finish: 'tools', toolCalls: [call] });
    const { body } = await door.post('responses', { model: 'chat', input: 'Why?', stream: true });
    expect([...body.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
  });

  test.each([
    ['an earlier response', { previous_response_id: 'resp_1' }, 'previous_response_id'],
    ['work in the background that is not kept', { background: true, store: false }, 'background'],
    ['what is said in a conversation and not kept', { conversation: 'conv_1', store: false }, 'store'],
    ['two names for the turns before', { conversation: 'conv_1', previous_response_id: 'resp_1' }, 'conversation'],
    ['a response before that is not there', { previous_response_id: 'resp_chat-none' }, 'previous_response_id'],
    ['an item that is not there', { input: [{ type: 'item_reference', id: 'msg_chat-none' }] }, 'input[0]'],
    ['a part that is not known', { include: ['message.output_text.tokens'] }, 'include[0]'],
    ['more metadata than OpenAI takes', { metadata: { key: 'x'.repeat(513) } }, 'metadata.key'],
    ['a tool of OpenAI’s own', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  ])('refuses %s', async (_, body, param) => {
    const response = await door.post('responses', { model: 'chat', input: 'Why?', ...body });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { param } });
  });
});

describe('embeddings', () => {
  test('come in the order of the texts, as bytes where those are asked for', async () => {
    door.answers({
      embeddings: [
        [1, 0],
        [0.5, 0.5],
      ],
    });
    const body = { model: 'embed', input: ['a', 'b'], encoding_format: 'base64' };
    const { data } = (await door.post('embeddings', body)).json<{ data: { index: number; embedding: string }[] }>();
    const bytes = Buffer.from(data[1]?.embedding ?? '', 'base64');
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([0.5, 0.5]);
    expect(door.inputGiven()).toEqual({ texts: ['a', 'b'] });
  });

  test.each([
    ['no text', { input: '' }, 'input'],
    ['dimensions that are not taken', { input: 'a', dimensions: 3 }, 'dimensions'],
  ])('are refused for %s', async (_, body, param) => {
    const response = await door.post('embeddings', { model: 'embed', ...body });
    expect(response.json()).toMatchObject({ error: { param, code: 'INVALID_INPUT' } });
  });
});

describe('speech', () => {
  const speakBody = { model: 'speak', input: 'So.', voice: 'default' };
  const wav = wavFile({ sampleRate: 24_000, seconds: 1 });
  beforeEach(async () => {
    const artifact = await door.gateway.deps.artifacts.put('default', pieces(wav, 10_000), inspectorOf('audio'));
    door.answers({ audio: { ...artifact } });
  });

  test('as WAV, and as its samples', async () => {
    const whole = await door.post('audio/speech', { ...speakBody, response_format: 'wav' });
    expect(whole.headers).toMatchObject({ 'content-type': 'audio/wav', 'content-length': String(wav.length) });
    expect(whole.rawPayload.equals(wav)).toBe(true);
    const samples = await door.post('audio/speech', { ...speakBody, response_format: 'pcm' });
    expect(samples.headers['content-type']).toBe('audio/pcm');
    expect(samples.rawPayload.equals(wav.subarray(44))).toBe(true);
  });

  test('as events', async () => {
    const { body, headers } = await door.post('audio/speech', {
      ...speakBody,
      response_format: 'wav',
      stream_format: 'sse',
    });
    expect(headers['content-type']).toBe('text/event-stream');
    const events = [...body.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as SpeechEvent);
    expect(events.at(-1)).toEqual({
      type: 'speech.audio.done',
      usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
    });
    const parts = events.slice(0, -1).map(({ type, audio = '' }) => {
      expect(type).toBe('speech.audio.delta');
      return Buffer.from(audio, 'base64');
    });
    expect(Buffer.concat(parts).equals(wav)).toBe(true);
  });

  test('without ffmpeg is refused as MP3, which is the default, before a run is started', async () => {
    const bare = await testGateway(
      {},
      { pipelines: [speakModel] as unknown as Pipeline[], placementOf: () => ({}), ffmpeg: '/nowhere/ffmpeg' },
    );
    const refused = await bare.app.inject({ method: 'POST', url: '/v1/audio/speech', payload: speakBody });
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ error: { param: 'response_format', code: 'CONVERSION_UNAVAILABLE' } });
    expect(bare.temporal.runs.size).toBe(0);
    await bare.close();
  });

  test('is refused in formats that there are not', async () => {
    const refusals = [
      [{ response_format: 'ogg' }, 'response_format'],
      [{ stream_format: 'chunks' }, 'stream_format'],
    ] as const;
    for (const [wrong, param] of refusals) {
      const refused = await door.post('audio/speech', { ...speakBody, ...wrong });
      expect([refused.statusCode, refused.json().error.param]).toEqual([400, param]);
    }
    expect((await door.post('audio/speech', { ...speakBody, model: 'chat' })).statusCode).toBe(404);
  });
});

interface SpeechEvent {
  readonly type: string;
  readonly audio?: string;
  readonly usage?: object;
}

describe('what an author says of models', () => {
  const define = (openai: object | false) =>
    pipeline('p', { input: z.object({ q: z.string() }), openai: openai as false }, ({ input }) => ({ a: input.q }));

  test('is what the pipeline is', () => {
    expect(define({ chat: { input: 'q', output: 'a' } }).openai).toMatchObject({ chat: { input: 'q', output: 'a' } });
    expect(define(false).openai).toEqual({});
    expect(Object.keys(voiceAssistant.openai)).toEqual(['transcription']);
    expect(Object.keys(speakModel.openai)).toEqual(['speech']);
  });

  test.each([
    ['a kind that there is not', { image: {} }, 'openai.image'],
    ['a field that there is not', { chat: { input: 'x', output: 'a' } }, 'openai.chat.input'],
    ['a field of another type', { transcription: { input: 'q', output: 'a' } }, 'openai.transcription.input'],
    ['no field where names say nothing', { chat: {} }, 'openai.chat.input'],
    ['a parameter that there is not', { chat: { input: 'q', output: 'a', ignore: ['x'] } }, 'openai.chat.ignore'],
  ])('is refused for %s', (_, openai, field) => {
    expect(() => define(openai)).toThrow(MillraceError);
    expect(() => define(openai)).toThrow(field);
  });
});

test.each(['chat/completions', 'embeddings', 'audio/speech', 'images/generations', 'messages'])(
  '%s tells what is wrong with a header before what is wrong with the body',
  async (route) => {
    const refused = await door.gateway.app.inject({
      method: 'POST',
      url: `/v1/${route}`,
      headers: { 'millrace-on-leave': 'sing' },
      payload: { no: 'model' },
    });
    expect(refused.json()).toMatchObject({ error: { code: 'INVALID_HEADER' } });
  },
);
