import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import {
  assistant,
  chatModel,
  embedModel,
  ragAnswer,
  speakModel,
  transcribeModel,
  voiceAssistant,
} from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { caught } from '../support/caught.js';
import { until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testSettings } from '../support/settings.js';
import { LATE_ONCE } from '../support/soonest.js';
import { wordAccuracy } from '../support/speech.js';

/** The official clients, unchanged, against pipelines on real servers. */

let served: ServedPipelines;
let client: OpenAI;

const SPEECH = fileURLToPath(new URL('../../deploy/local/audio/question.wav', import.meta.url));
const PYTHON = fileURLToPath(new URL('../fixtures/openai-python', import.meta.url));

beforeAll(async () => {
  const pipelines = [chatModel, embedModel, transcribeModel, speakModel, voiceAssistant, ragAnswer, assistant];
  served = await servePipelines(pipelines as unknown as Pipeline<never>[]);
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => served?.close());

const QUESTION = 'What is the capital of France?';
const brief = { role: 'system' as const, content: 'Answer in one short sentence.' };
const question = { role: 'user' as const, content: QUESTION };

describe('for Node', () => {
  test('models', async () => {
    const models = await client.models.list();
    const ids = models.data.map(({ id }) => id);
    expect(ids).toEqual(['chat', 'embed', 'transcribe', 'speak', 'voice-assistant', 'rag-answer', 'assistant']);
    expect(await client.models.retrieve('chat')).toMatchObject({ id: 'chat', object: 'model', owned_by: 'millrace' });
  });

  test('a completion, and the run behind it', async () => {
    const completion = await client.chat.completions.create({
      model: 'chat',
      messages: [brief, question],
      max_completion_tokens: 16,
      temperature: 0,
    });
    expect(completion.choices[0]?.message.content).toContain('Paris');
    expect(completion.usage?.prompt_tokens).toBeGreaterThan(20);
    const run = await served.get(completion.id.replace('chatcmpl-', ''));
    expect(run).toMatchObject({ pipeline: 'chat', input: { prompt: question.content, temperature: 0 } });
  });

  // A process that stands still gives all that the model has said meanwhile as one piece.
  test('a completion that is streamed, with the tokens at its end', LATE_ONCE, async () => {
    const stream = await client.chat.completions.create({
      model: 'chat',
      messages: [brief, question],
      max_tokens: 16,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toContain('Paris');
    expect(chunks.length).toBeGreaterThan(4);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)?.usage?.completion_tokens).toBeGreaterThan(3);
  });

  test('a message of Anthropic’s client, as a whole and streamed', LATE_ONCE, async () => {
    const anthropic = new Anthropic({ baseURL: served.url, apiKey: 'none', maxRetries: 0 });
    const body = { model: 'chat', system: brief.content, max_tokens: 16, messages: [question], ...{ temperature: 0 } };
    const message = await anthropic.messages.create(body);
    expect(message.content[0]).toMatchObject({ type: 'text', text: expect.stringContaining('Paris') });
    expect(message.usage.input_tokens).toBeGreaterThan(20);
    const pieces: string[] = [];
    const stream = anthropic.messages.stream(body).on('text', (text) => pieces.push(text));
    expect((await stream.finalMessage()).content).toEqual(message.content);
    expect(pieces.length).toBeGreaterThan(1);
  });

  test('several choices, each with the probabilities of its tokens, to a named speaker', async () => {
    const body = {
      model: 'chat',
      messages: [brief, { ...question, name: 'Ada' }],
      max_completion_tokens: 8,
      n: 2,
      seed: 7,
      temperature: 1,
      logprobs: true,
      top_logprobs: 2,
    };
    const completion = await client.chat.completions.create(body);
    expect(completion.choices.map(({ index }) => index)).toEqual([0, 1]);
    for (const { message, logprobs } of completion.choices) {
      const tokens = logprobs?.content ?? [];
      expect(tokens.map(({ token }) => token).join('')).toContain(message.content?.trim());
      expect(tokens.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
    }
    const streamed = await client.chat.completions.stream(body).finalChatCompletion();
    expect(streamed.choices).toHaveLength(2);
    for (const { logprobs } of streamed.choices) expect(logprobs?.content?.length).toBeGreaterThan(0);
  });

  test('a response with the probabilities of its tokens', async () => {
    const body = {
      model: 'chat',
      input: 'What is the capital of France?',
      max_output_tokens: 8,
      include: ['message.output_text.logprobs' as const],
      top_logprobs: 2,
    };
    const whole = await client.responses.create(body);
    const streamed = await client.responses.stream(body).finalResponse();
    for (const { output } of [whole, streamed]) {
      const [part] = output.flatMap((item) => (item.type === 'message' ? item.content : []));
      const { text = '', logprobs = [] } = part?.type === 'output_text' ? part : {};
      expect(logprobs.map(({ token }) => token).join('')).toContain(text.trim());
      expect(logprobs.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
    }
  });

  test('structured output', async () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 20 } },
      required: ['city'],
      additionalProperties: false,
    };
    const completion = await client.chat.completions.create({
      model: 'chat',
      messages: [question],
      max_tokens: 48,
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema, strict: true } },
    });
    expect(JSON.parse(completion.choices[0]?.message.content ?? '')).toEqual({ city: expect.any(String) });
  });

  test('a client that leaves a stream ends its run', async () => {
    const status = await caught('a stream', async () => {
      const stream = await client.chat.completions
        .create({ model: 'chat', messages: [{ role: 'user', content: 'Count to a thousand.' }], stream: true })
        .withResponse();
      for await (const _ of stream.data) break;
      const id = stream.response.headers.get('millrace-run') ?? '';
      let status = 'running';
      await until('the run has ended', async () => {
        status = (await served.get(id)).status;
        return status !== 'running';
      });
      return status === 'succeeded' ? undefined : status;
    });
    expect(status).toBe('cancelled');
  });

  test('a response, as a whole and streamed', async () => {
    const body = { model: 'chat', instructions: brief.content, input: question.content, max_output_tokens: 16 };
    const response = await client.responses.create(body);
    expect(response.output_text).toContain('Paris');
    const events = [];
    for await (const event of await client.responses.create({ ...body, stream: true })) events.push(event);
    expect(events[0]?.type).toBe('response.created');
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
    const last = events.at(-1);
    expect(last?.type === 'response.completed' && last.response.output[0]).toMatchObject({
      type: 'message',
      content: [{ type: 'output_text', text: response.output_text }],
    });
  });

  test('embeddings, as numbers and as the bytes that the client asks for', async () => {
    const input = ['What turns a mill?', 'Water does.'];
    const asBytes = await client.embeddings.create({ model: 'embed', input });
    const asNumbers = await client.embeddings.create({ model: 'embed', input, encoding_format: 'float' });
    expect(asBytes.data.map(({ embedding }) => embedding.length)).toEqual([384, 384]);
    expect(asBytes.data[1]?.embedding[3]).toBeCloseTo(asNumbers.data[1]?.embedding[3] ?? 0, 5);
  });

  test('embeddings of more texts than a run takes, in their order', async () => {
    const input = Array.from({ length: 130 }, (_, i) => `Mill number ${i} turns.`);
    const { data, usage } = await client.embeddings.create({ model: 'embed', input, encoding_format: 'float' });
    expect(data.map(({ index }) => index)).toEqual(input.map((_, i) => i));
    const [alone] = (
      await client.embeddings.create({ model: 'embed', input: input[129] ?? '', encoding_format: 'float' })
    ).data;
    expect(data[129]?.embedding[5]).toBeCloseTo(alone?.embedding[5] ?? 0, 4);
    expect(usage.prompt_tokens).toBeGreaterThanOrEqual(0);
  });

  test('speech to text and back', async () => {
    const transcription = await client.audio.transcriptions.create({
      model: 'transcribe',
      file: createReadStream(SPEECH),
    });
    expect(transcription.text).toBe('What is the capital of France?');
    const asText = await client.audio.transcriptions.create({
      model: 'voice-assistant',
      file: createReadStream(SPEECH),
      response_format: 'text',
    });
    expect(asText).toBe('What is the capital of France?\n');
    const stream = await client.audio.transcriptions.create({
      model: 'transcribe',
      file: createReadStream(SPEECH),
      stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events.at(-1)).toMatchObject({ type: 'transcript.text.done', text: transcription.text });
    const spoken = await client.audio.speech.create({
      model: 'speak',
      input: 'The mill turns.',
      voice: 'default',
      response_format: 'wav',
    });
    expect(
      Buffer.from(await spoken.arrayBuffer())
        .subarray(0, 4)
        .toString(),
    ).toBe('RIFF');
  });

  test('speech as MP3, which is its default, heard again', async () => {
    const spoken = await client.audio.speech.create({ model: 'speak', input: QUESTION, voice: 'onyx' });
    expect(spoken.headers.get('content-type')).toBe('audio/mpeg');
    const file = new File([Buffer.from(await spoken.arrayBuffer())], 'speech.mp3');
    const transcription = await client.audio.transcriptions.create({ model: 'transcribe', file });
    expect(wordAccuracy(QUESTION, transcription.text)).toBe(1);
  });

  test('speech from the first sentence on, in each format, and as events', async () => {
    const input = 'The mill turns. The water falls on the wheel. The miller sleeps until the morning comes.';
    for (const response_format of ['mp3', 'opus', 'flac'] as const) {
      const spoken = await client.audio.speech.create({ model: 'speak', input, voice: 'alloy', response_format });
      expect(spoken.headers.get('content-length')).toBeNull();
      const file = new File([Buffer.from(await spoken.arrayBuffer())], `speech.${response_format}`);
      const { text } = await client.audio.transcriptions.create({ model: 'transcribe', file });
      expect(wordAccuracy(input, text)).toBeGreaterThan(0.85);
    }
    // A long text: it is heard before it is spoken to its end.
    const long = Array.from({ length: 20 }, (_, i) => `This is sentence number ${i} of a long story.`).join(' ');
    for (const response_format of ['wav', 'pcm', 'mp3'] as const) {
      const heard = await caught(`the beginning as ${response_format}`, async () => {
        const spoken = await client.audio.speech.create({
          model: 'speak',
          input: long,
          voice: 'alloy',
          response_format,
        });
        let whenFirst: string | undefined;
        for await (const _ of spoken.body as unknown as AsyncIterable<Uint8Array>)
          whenFirst ??= (await served.get(spoken.headers.get('millrace-run') ?? '')).status;
        return whenFirst === 'succeeded' ? undefined : whenFirst;
      });
      expect(heard).toBe('running');
    }
    const events = await client.audio.speech
      .create({ model: 'speak', input, voice: 'alloy', response_format: 'pcm', stream_format: 'sse' })
      .then((response) => response.text());
    const types = [...events.matchAll(/"type":"([^"]+)"/g)].map(([, type]) => type);
    expect(new Set(types.slice(0, -1))).toEqual(new Set(['speech.audio.delta']));
    expect(types.at(-1)).toBe('speech.audio.done');
  });

  test('an answer as text and audio, whole and streamed', async () => {
    const spoken = {
      model: 'assistant',
      messages: [question],
      modalities: ['text' as const, 'audio' as const],
      audio: { voice: 'alloy', format: 'wav' as const },
    };
    const whole = await client.chat.completions.create(spoken);
    const message = whole.choices[0]?.message;
    expect(message?.content).toBeNull();
    expect(message?.audio).toMatchObject({ id: expect.stringMatching(/^audio_/), expires_at: expect.any(Number) });
    expect(message?.audio?.transcript).toContain('Paris');
    const wav = Buffer.from(message?.audio?.data ?? '', 'base64');
    expect(wav.subarray(0, 4).toString()).toBe('RIFF');
    const heard = await client.audio.transcriptions.create({ model: 'transcribe', file: new File([wav], 'a.wav') });
    expect(wordAccuracy(message?.audio?.transcript ?? '', heard.text)).toBeGreaterThan(0.85);

    const streamed = client.chat.completions.stream({ ...spoken, audio: { voice: 'alloy', format: 'pcm16' } });
    const order: string[] = [];
    for await (const { choices } of streamed) {
      const delta = choices[0]?.delta as { audio?: Record<string, unknown> } | undefined;
      order.push(...Object.keys(delta?.audio ?? {}));
    }
    expect(order[0]).toBe('id');
    expect(order.filter((key) => key === 'id')).toHaveLength(1);
    expect(order.at(-1)).toBe('expires_at');
    const final = (await streamed.finalChatCompletion()).choices[0];
    expect(final?.finish_reason).toBe('stop');
    expect(final?.message.audio?.transcript).toBe(message?.audio?.transcript);
    // The samples of the WAV file, whose header has 44 bytes.
    expect(Buffer.from(final?.message.audio?.data ?? '', 'base64').equals(wav.subarray(44))).toBe(true);

    const again = client.chat.completions.create({
      ...spoken,
      messages: [question, { role: 'assistant', audio: { id: 'audio_nobodys' } }, question],
    });
    await expect(again).rejects.toMatchObject({ status: 400, param: 'messages[1].audio.id' });
    const silent = client.chat.completions.create({ ...spoken, model: 'chat' });
    await expect(silent).rejects.toMatchObject({ status: 400, param: 'modalities' });
    const loud = client.chat.completions.create({ ...spoken, modalities: ['text'] });
    await expect(loud).rejects.toMatchObject({ status: 400, param: 'audio' });
    // A conversation refers to an audio answer by its id.
    const chat = await client.chat.completions.create({
      model: 'chat',
      messages: [
        question,
        { role: 'assistant', audio: { id: message?.audio?.id ?? '' } },
        { role: 'user', content: 'Repeat the name of the city only.' },
      ],
      max_completion_tokens: 12,
      temperature: 0,
    });
    const run = await served.get(chat.id.replace('chatcmpl-', ''));
    expect(JSON.stringify(run.input)).toContain(message?.audio?.transcript.slice(0, 20));
  });

  test('errors as its exceptions', async () => {
    const wrong = client.chat.completions.create({ model: 'gpt-9', messages: [question] });
    await expect(wrong).rejects.toThrow(OpenAI.NotFoundError);
    const bad = await client.chat.completions.create({ model: 'chat', messages: [question], n: 9 }).catch((e) => e);
    expect(bad).toBeInstanceOf(OpenAI.BadRequestError);
    expect(bad).toMatchObject({
      status: 400,
      param: 'n',
      type: 'invalid_request_error',
      requestID: expect.any(String),
    });
    const silent = client.audio.transcriptions.create({ model: 'transcribe', file: new File(['no audio'], 'a.wav') });
    await expect(silent).rejects.toMatchObject({ status: 400, param: 'file' });
  });
});

test('for Python: the same, its exceptions included', async () => {
  const venv = await ensureVenv({
    folder: path.resolve('.millrace/openai-python-venv'),
    recipe: PYTHON,
    explicitPython: testSettings().MILLRACE_PYTHON,
    env: process.env,
    onStep: (detail) => process.stderr.write(`openai for Python: ${detail}\n`),
  });
  const { stdout } = await promisify(execFile)(path.join(venv.folder, 'bin', 'python'), [
    path.join(PYTHON, 'drive.py'),
    `${served.url}/v1`,
    SPEECH,
  ]);
  expect(JSON.parse(stdout)).toEqual({
    completion: expect.stringContaining('Paris'),
    finish: 'stop',
    prompt_tokens: expect.any(Number),
    streamed: expect.stringContaining('Paris'),
    streamed_tokens: expect.any(Number),
    response: expect.stringContaining('Paris'),
    events: expect.arrayContaining(['response.created', 'response.output_text.delta', 'response.completed']),
    dimensions: [384, 384],
    choices: [true, true],
    many: 65,
    heard: 'What is the capital of France?',
    riff: 'RIFF',
    opus: [expect.any(Number), QUESTION],
    errors: [
      ['NotFoundError', 404, 'model', 'model_not_found'],
      ['BadRequestError', 400, 'n', 'INVALID_INPUT'],
      ['BadRequestError', 400, 'messages[0]', 'INVALID_INPUT'],
    ],
  });
});
