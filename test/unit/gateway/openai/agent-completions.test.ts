import { Readable } from 'node:stream';
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { inspectorOf } from '../../../../media/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { failure } from '../../../support/fake-temporal.js';
import { multipartBody } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';
import { agentDoor, ended, finished, rethought, said, started, torn, turns } from './agent-door.js';

const door = agentDoor();

describe('a streamed completion', () => {
  const messages = [{ role: 'user' as const, content: 'Pay!' }];
  async function streamed() {
    const chunks: (OpenAI.ChatCompletionChunk & { millrace?: JsonObject })[] = [];
    const stream = door.openai().chat.completions.stream({ model: 'desk', messages });
    for await (const chunk of stream) chunks.push(chunk);
    const message = (await stream.finalChatCompletion()).choices[0]?.message;
    return { chunks, message, more: chunks.flatMap(({ millrace }) => (millrace ? [millrace] : [])) };
  }

  test('has what an agent says and thinks as it comes, and its calls beside it', async () => {
    door.events = turns();
    door.answers('It is paid.', 'I look.');
    const { chunks, message, more } = await streamed();
    const deltas = chunks.map(({ choices }) => choices[0]?.delta as { content?: string; reasoning_content?: string });
    expect(deltas.flatMap(({ content }) => content ?? [])).toEqual(['I ', 'look.', '\n\nIt is', ' paid.']);
    expect(deltas.flatMap(({ reasoning_content: thought }) => thought ?? [])).toEqual(['Hm.']);
    expect(message?.tool_calls).toBeUndefined();
    expect(more).toMatchObject([
      { tool_call: { id: expect.any(String), name: 'refund', arguments: '{"order":"1"}', status: 'in_progress' } },
      { tool_call: { name: 'refund', status: 'completed', output: 'paid' } },
      { executed_tool_calls: [{ name: 'refund', output: 'paid' }], answer_from: 9 },
    ]);
    expect(message?.content?.slice(9)).toBe('It is paid.');
    const [begun, done, end] = more as { tool_call?: { id: string }; executed_tool_calls?: { id: string }[] }[];
    expect([done?.tool_call?.id, end?.executed_tool_calls?.[0]?.id]).toEqual([
      begun?.tool_call?.id,
      begun?.tool_call?.id,
    ]);
  });

  test('tells a text once when its model call is made again', async () => {
    door.events = [...turns().slice(0, -1), started('answer/turn-2', 2), ...said('answer/turn-2', 'It', ' is paid.')];
    door.answers('It is paid.', 'I look.');
    const { message } = await streamed();
    expect(message?.content).toBe('I look.\n\nIt is paid.');
  });

  test('has no thoughts of another attempt behind its text', async () => {
    door.events = rethought();
    door.answers('It is paid.', 'I look.');
    const { chunks, message } = await streamed();
    const deltas = chunks.map(({ choices }) => choices[0]?.delta as { reasoning_content?: string } | undefined);
    expect(deltas.flatMap((delta) => delta?.reasoning_content ?? [])).toEqual(['Hm.', 'So.']);
    expect(message?.content).toBe('I look.\n\nIt is paid.');
  });

  test('says which text is void when another attempt says something else', async () => {
    door.events = torn();
    door.answers('It is done.', 'I look.');
    const { message, more } = await streamed();
    const from = more.find((each) => 'void_from' in each)?.void_from as number;
    const last = more.at(-1)?.answer_from as number;
    expect(message?.content?.slice(from)).toBe('It is paid.\n\nIt is done.');
    expect(message?.content?.slice(last)).toBe('It is done.');
  });

  test('says the same of a shorter text, and of one of the next candidate', async () => {
    door.events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'One two'),
      started('answer/turn-1', 2),
      ...said('answer/turn-1', 'One'),
      finished('answer/turn-1'),
    ];
    door.answers('One');
    expect((await streamed()).message?.content).toBe('One two\n\nOne');
    door.events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'One two'),
      started('answer~1/turn-1'),
      ...said('answer~1/turn-1', 'One two three'),
      finished('answer~1/turn-1'),
    ];
    door.answers('One two three');
    expect((await streamed()).message?.content).toBe('One two three');
  });

  test('keeps turns apart though the events of the calls between them were lost', async () => {
    door.events = turns().filter(({ type }) => !type.startsWith('tool.'));
    door.answers('It is paid.', 'I look.');
    const { message, more } = await streamed();
    expect(message?.content).toBe('I look.\n\nIt is paid.');
    expect(more).toMatchObject([{ executed_tool_calls: [{ name: 'refund' }], answer_from: 9 }]);
  });

  test('is whole though events were lost', async () => {
    door.events = [{ type: 'events.lost' }, ended, started('answer/turn-2'), ...said('answer/turn-2', ' ')];
    door.answers(' It is paid.', 'I look.');
    const { message, more } = await streamed();
    expect(message?.content).toBe(' It is paid.');
    expect(more).toMatchObject([{ executed_tool_calls: [{ name: 'refund' }] }]);
  });
});

describe('a streamed completion with audio', () => {
  const wav = wavFile();
  async function heard() {
    const { artifacts } = door.gateway.deps;
    const audio = await artifacts.put('default', Readable.from([wav]), inspectorOf('audio'));
    door.answers('It is done.', 'I look.', { audio: { ...audio } });
    const stream = door.openai().chat.completions.stream({
      ...{ model: 'voice', modalities: ['text', 'audio'], audio: { voice: 'any', format: 'wav' } },
      messages: [{ role: 'user', content: 'Pay!' }],
    });
    const chunks: (OpenAI.ChatCompletionChunk & { millrace?: JsonObject })[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const message = (await stream.finalChatCompletion()).choices[0]?.message;
    expect(Buffer.from(message?.audio?.data ?? '', 'base64').equals(wav)).toBe(true);
    return { chunks, message, more: chunks.flatMap(({ millrace }) => (millrace ? [millrace] : [])) };
  }

  test('has the turns of an agent apart in its transcript, says which is void, and tells of calls and thoughts', async () => {
    door.events = torn();
    const { chunks, message, more } = await heard();
    const transcript = message?.audio?.transcript ?? '';
    expect(transcript).toBe('I look.\n\nIt is paid.\n\nIt is done.');
    expect(message?.content).toBeNull();
    const ids = chunks.flatMap(({ choices }) => (choices[0]?.delta as { audio?: { id?: string } })?.audio?.id ?? []);
    expect(ids).toEqual([expect.stringMatching(/^audio_voice-/)]);
    expect(message?.audio?.id).toBe(ids[0]);
    const from = more.find((each) => 'void_from' in each)?.void_from as number;
    expect(transcript.slice(from)).toBe('It is paid.\n\nIt is done.');
    expect(transcript.slice(more.at(-1)?.answer_from as number)).toBe('It is done.');
    expect(more.flatMap(({ tool_call }) => (tool_call ? [(tool_call as JsonObject).status] : []))).toEqual([
      'in_progress',
      'completed',
    ]);
    const deltas = chunks.map(({ choices }) => choices[0]?.delta as { reasoning_content?: string } | undefined);
    expect(deltas.flatMap((delta) => delta?.reasoning_content ?? [])).toEqual(['Hm.']);
  });
});

test('a streamed completion with audio whose run fails before its first word has an error status', async () => {
  const error = failure('BACKEND_UNAVAILABLE', 'gone', { stages: [] });
  door.gateway.temporal.onStart = (run) => run.end(error);
  const refused = await door.gateway.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    payload: {
      ...{ model: 'voice', stream: true, modalities: ['text', 'audio'], audio: { voice: 'any', format: 'wav' } },
      messages: [{ role: 'user', content: 'Pay!' }],
    },
  });
  expect([refused.statusCode, refused.json().error.code]).toEqual([503, 'BACKEND_UNAVAILABLE']);
});

test('the deltas of a streamed transcription are its text, also where an agent writes it', async () => {
  door.events = torn();
  door.gateway.temporal.onStart = (run) => run.end({ output: { text: 'It is done.' }, stages: [] });
  const { body } = await door.gateway.app.inject({
    method: 'POST',
    url: '/v1/audio/transcriptions',
    ...multipartBody([
      ['file', wavFile(), 'audio/wav'],
      ['model', 'minutes'],
      ['stream', 'true'],
    ]),
  });
  const told = body.split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []));
  expect(told.at(-1)).toMatchObject({ type: 'transcript.text.done', text: 'It is done.' });
  expect(told.map(({ delta }) => delta ?? '').join('')).toBe('It is done.');
});
