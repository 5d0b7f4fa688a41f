import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { type BaseEvent, HttpAgent } from '@ag-ui/client';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inspectorOf } from '../../../../media/index.js';
import { agent, audio, type Pipeline, pipeline, synthesize, tool, transcribe } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { multipartBody, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

/** The official clients, unchanged, at a gateway whose runs are scripted: what they make of an agent that streams. */

const refund = tool({ name: 'refund', description: 'Pays', input: z.object({ order: z.string() }), run: () => 'paid' });
const question = z.object({ question: z.string() });
const desk = pipeline('desk', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  return { reply: answer.text, toolCalls: answer.toolCalls };
});

const voice = pipeline('voice', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  const { audio } = stage('speak', synthesize({ model: 'tts' }), { text: answer.text });
  return { reply: answer.text, toolCalls: answer.toolCalls, audio };
});
/** Its output has the agent's text, and not its calls. */
const terse = pipeline('terse', { input: question }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.question });
  return { reply: answer.text };
});
/** A transcription whose text an agent edits. */
const minutes = pipeline('minutes', { input: z.object({ audio: audio() }) }, ({ input, stage }) => {
  const heard = stage('hear', transcribe({ model: 'whisper' }), { audio: input.audio });
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: heard.text });
  return { text: answer.text };
});

let gateway: TestGateway;
let url: string;
let events: RunEvent[];
beforeEach(async () => {
  events = [];
  gateway = await testGateway(
    {},
    {
      pipelines: [desk, voice, terse, minutes] as unknown as Pipeline[],
      placementOf: () => ({}),
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
        },
      },
    },
  );
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
});
afterEach(() => gateway.close());

const of = (path: string, attempt = 1) => ({ stage: 'answer', path, attempt });
const started = (path: string, attempt = 1): RunEvent => ({
  type: 'stage.started',
  ...of(path, attempt),
  kind: 'chat',
  model: 'm',
});
const said = (path: string, ...texts: string[]): RunEvent[] =>
  texts.map((text) => ({ type: 'stage.delta', ...of(path), text }));
const finished = (path: string): RunEvent => ({ type: 'stage.finished', ...of(path), cache: 'off', runMs: 1 });
const call = { ...of('answer/turn-1/refund:0'), tool: 'refund', number: 0 };
const called: RunEvent = { type: 'tool.called', ...call, arguments: { order: '1' } };
const ended: RunEvent = { type: 'tool.ended', ...call, end: 'done', result: 'paid' };
const record = { turn: 1, name: 'refund', arguments: { order: '1' }, end: 'done', result: 'paid' };

const answers = (reply: string, said?: string, more: JsonObject = {}) => {
  const output: JsonObject = { reply, toolCalls: [{ ...record, ...(said !== undefined && { said }) }], ...more };
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};

/** A turn with text and a call, and one with the answer. */
const turns = (): RunEvent[] => [
  started('answer/turn-1'),
  { type: 'stage.reasoning', ...of('answer/turn-1'), text: 'Hm.' },
  ...said('answer/turn-1', 'I ', 'look.'),
  finished('answer/turn-1'),
  called,
  // Of a child run: another stage, though it has the same name there.
  {
    type: 'stage.delta',
    stage: 'answer/turn-1/refund:0/answer',
    path: 'answer/turn-1/refund:0/answer',
    attempt: 1,
    text: 'X',
  },
  ended,
  ended,
  started('answer/turn-2'),
  ...said('answer/turn-2', 'It is', ' paid.'),
  finished('answer/turn-2'),
];
/** The answer's model call fails in the middle, and the next attempt says something else. */
const torn = (): RunEvent[] => [
  ...turns().slice(0, -1),
  { type: 'stage.failed', ...of('answer/turn-2'), code: 'BACKEND_UNAVAILABLE', message: 'gone' },
  started('answer/turn-2', 2),
  ...said('answer/turn-2', 'It is', ' done.'),
  finished('answer/turn-2'),
];
/** The same of a model that thinks before each attempt. */
const rethought = (): RunEvent[] => [
  ...turns().slice(0, -3),
  started('answer/turn-2'),
  { type: 'stage.reasoning', ...of('answer/turn-2'), text: 'So.' },
  ...said('answer/turn-2', 'It is'),
  { type: 'stage.failed', ...of('answer/turn-2'), code: 'BACKEND_UNAVAILABLE', message: 'gone' },
  started('answer/turn-2', 2),
  { type: 'stage.reasoning', ...of('answer/turn-2', 2), text: 'Again.' },
  ...said('answer/turn-2', 'It', ' is paid.'),
  finished('answer/turn-2'),
];

const openai = () => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });

describe('a streamed completion', () => {
  const messages = [{ role: 'user' as const, content: 'Pay!' }];
  async function streamed() {
    const chunks: (OpenAI.ChatCompletionChunk & { millrace?: JsonObject })[] = [];
    const stream = openai().chat.completions.stream({ model: 'desk', messages });
    for await (const chunk of stream) chunks.push(chunk);
    const message = (await stream.finalChatCompletion()).choices[0]?.message;
    return { chunks, message, more: chunks.flatMap(({ millrace }) => (millrace ? [millrace] : [])) };
  }

  test('has what an agent says and thinks as it comes, and its calls beside it', async () => {
    events = turns();
    answers('It is paid.', 'I look.');
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
    events = [...turns().slice(0, -1), started('answer/turn-2', 2), ...said('answer/turn-2', 'It', ' is paid.')];
    answers('It is paid.', 'I look.');
    const { message } = await streamed();
    expect(message?.content).toBe('I look.\n\nIt is paid.');
  });

  test('has no thoughts of another attempt behind its text', async () => {
    events = rethought();
    answers('It is paid.', 'I look.');
    const { chunks, message } = await streamed();
    const deltas = chunks.map(({ choices }) => choices[0]?.delta as { reasoning_content?: string } | undefined);
    expect(deltas.flatMap((delta) => delta?.reasoning_content ?? [])).toEqual(['Hm.', 'So.']);
    expect(message?.content).toBe('I look.\n\nIt is paid.');
  });

  test('says which text is void when another attempt says something else', async () => {
    events = torn();
    answers('It is done.', 'I look.');
    const { message, more } = await streamed();
    const from = more.find((each) => 'void_from' in each)?.void_from as number;
    const last = more.at(-1)?.answer_from as number;
    expect(message?.content?.slice(from)).toBe('It is paid.\n\nIt is done.');
    expect(message?.content?.slice(last)).toBe('It is done.');
  });

  test('says the same of a shorter text, and of one of the next candidate', async () => {
    events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'One two'),
      started('answer/turn-1', 2),
      ...said('answer/turn-1', 'One'),
      finished('answer/turn-1'),
    ];
    answers('One');
    expect((await streamed()).message?.content).toBe('One two\n\nOne');
    events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'One two'),
      started('answer~1/turn-1'),
      ...said('answer~1/turn-1', 'One two three'),
      finished('answer~1/turn-1'),
    ];
    answers('One two three');
    expect((await streamed()).message?.content).toBe('One two three');
  });

  test('keeps turns apart though the events of the calls between them were lost', async () => {
    events = turns().filter(({ type }) => !type.startsWith('tool.'));
    answers('It is paid.', 'I look.');
    const { message, more } = await streamed();
    expect(message?.content).toBe('I look.\n\nIt is paid.');
    expect(more).toMatchObject([{ executed_tool_calls: [{ name: 'refund' }], answer_from: 9 }]);
  });

  test('is whole though events were lost', async () => {
    events = [{ type: 'events.lost' }, ended, started('answer/turn-2'), ...said('answer/turn-2', ' ')];
    answers(' It is paid.', 'I look.');
    const { message, more } = await streamed();
    expect(message?.content).toBe(' It is paid.');
    expect(more).toMatchObject([{ executed_tool_calls: [{ name: 'refund' }] }]);
  });
});

describe('a streamed completion with audio', () => {
  const wav = wavFile();
  async function heard() {
    const { artifacts } = gateway.deps;
    const audio = await artifacts.put('default', Readable.from([wav]), inspectorOf('audio'));
    answers('It is done.', 'I look.', { audio: { ...audio } });
    const stream = openai().chat.completions.stream({
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
    events = torn();
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
  gateway.temporal.onStart = (run) => run.end(error);
  const refused = await gateway.app.inject({
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
  events = torn();
  gateway.temporal.onStart = (run) => run.end({ output: { text: 'It is done.' }, stages: [] });
  const { body } = await gateway.app.inject({
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

describe('a streamed response', () => {
  async function streamed(model = 'desk') {
    const all: OpenAI.Responses.ResponseStreamEvent[] = [];
    const stream = openai().responses.stream({ model, input: 'Pay!' });
    for await (const event of stream) all.push(event);
    const done = all.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item] : []));
    return { all, done, response: await stream.finalResponse() };
  }

  test('has a message for each turn, and the calls between them, as they come', async () => {
    events = turns();
    answers('It is paid.', 'I look.');
    const { all, done, response } = await streamed();
    const types = ['reasoning', 'message', 'mcp_call', 'message'];
    expect(done.map(({ type }) => type)).toEqual(types);
    expect(response.output.map(({ type }) => type)).toEqual(types);
    expect(response.output).toMatchObject([
      { content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { phase: 'commentary', content: [{ text: 'I look.' }] },
      { name: 'refund', output: 'paid', error: null },
      { content: [{ text: 'It is paid.' }] },
    ]);
    const indexes = all.flatMap((event) => (event.type === 'response.output_item.added' ? [event.output_index] : []));
    expect(indexes).toEqual([0, 1, 2, 3]);
    const deltas = all.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
    expect(deltas).toEqual(['I ', 'look.', 'It is', ' paid.']);
    // The call began before it ended, and both before the answer.
    const order = all.map(({ type }) => type);
    expect(order.indexOf('response.mcp_call.in_progress')).toBeLessThan(order.indexOf('response.mcp_call.completed'));
    expect(new Set(done.map(({ id }) => id)).size).toBe(4);
    // Read again, without a stream, it has the same items with the same ids.
    const again = await openai().responses.create({ model: 'desk', input: 'Pay!' });
    const withoutRun = (items: readonly { id?: string | null }[]) =>
      items.map(({ id }) => id?.replace(/desk-[0-9a-f-]+/, ''));
    expect(withoutRun(again.output)).toEqual(withoutRun(response.output.slice(1)));
  });

  test('has one message where its model thinks again before another attempt', async () => {
    events = rethought();
    answers('It is paid.', 'I look.');
    const { response } = await streamed();
    expect(response.output).toMatchObject([
      { content: [{ type: 'reasoning_text', text: 'Hm.' }] },
      { content: [{ text: 'I look.' }] },
      { name: 'refund' },
      { content: [{ type: 'reasoning_text', text: 'So.' }] },
      { content: [{ text: 'It is paid.' }] },
    ]);
  });

  test('ends a void message as incomplete, and sends it again', async () => {
    events = torn();
    answers('It is done.', 'I look.');
    const { done, response } = await streamed();
    expect(done.slice(3)).toMatchObject([
      { type: 'message', status: 'incomplete', content: [{ text: 'It is paid.' }] },
      { type: 'message', status: 'completed', content: [{ text: 'It is done.' }] },
    ]);
    expect(response.output).toHaveLength(4);
    expect(response.output.at(-1)).toMatchObject({ content: [{ text: 'It is done.' }] });
  });

  test.each([
    ['an output does not list', 'terse', ['incomplete', 'completed']],
    ['a record of calls lacks', 'desk', ['completed', 'completed']],
  ])('has its answer behind a message that %s', async (_, model, statuses) => {
    events = turns();
    if (model === 'terse')
      gateway.temporal.onStart = (run) => run.end({ output: { reply: 'It is paid.' }, stages: [] });
    else answers('It is paid.');
    const { all, done, response } = await streamed(model);
    const messages = done.filter(({ type }) => type === 'message');
    expect(messages).toMatchObject([{ content: [{ text: 'I look.' }] }, { content: [{ text: 'It is paid.' }] }]);
    expect(messages.map((item) => 'status' in item && item.status)).toEqual(statuses);
    expect(response.output_text).toBe(model === 'terse' ? 'It is paid.' : 'I look.It is paid.');
    expect(response.output.at(-1)).toMatchObject({ status: 'completed', content: [{ text: 'It is paid.' }] });
    const deltas = all.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
    expect(deltas).toEqual(['I ', 'look.', 'It is', ' paid.']);
  });

  test('has each text that the output lists, though the message before it was lost', async () => {
    const second = { ...call, path: 'answer/turn-2/refund:1', number: 1 };
    events = [
      { type: 'events.lost' },
      started('answer/turn-2'),
      ...said('answer/turn-2', 'I pay.'),
      finished('answer/turn-2'),
      { type: 'tool.called', ...second, arguments: { order: '1' } },
      { type: 'tool.ended', ...second, end: 'done', result: 'paid' },
      started('answer/turn-3'),
      ...said('answer/turn-3', 'It is paid.'),
      finished('answer/turn-3'),
    ];
    const toolCalls = [
      { ...record, said: 'I look.' },
      { ...record, turn: 2, said: 'I pay.' },
    ];
    answers('It is paid.', undefined, { toolCalls });
    const { done, response } = await streamed();
    const texts = (items: typeof done) =>
      items.flatMap((item) => (item.type === 'message' && 'text' in (item.content[0] ?? {}) ? item.content : []));
    expect(texts(done)).toMatchObject([{ text: 'I pay.' }, { text: 'It is paid.' }, { text: 'I look.' }]);
    expect(texts(response.output)).toHaveLength(3);
    expect(new Set(response.output.map(({ id }) => id)).size).toBe(5);
  });

  test('has a call of the record in place of another one that was told under its id', async () => {
    events = turns();
    answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' }, said: 'I look.' }] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([
      { arguments: '{"order":"1"}' },
      { arguments: '{"order":"2"}' },
    ]);
    const calls = response.output.filter(({ type }) => type === 'mcp_call');
    expect(calls).toMatchObject([{ arguments: '{"order":"2"}', output: 'paid', status: 'completed' }]);
  });

  test('ends a call that another candidate makes differently, and tells the other', async () => {
    const other = { ...call, path: 'answer~1/turn-1/refund:2' };
    events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'I look.'),
      finished('answer/turn-1'),
      called,
      started('answer~1/turn-1'),
      finished('answer~1/turn-1'),
      { type: 'tool.called', ...other, arguments: { order: '2' } },
      { type: 'tool.ended', ...other, end: 'done', result: 'paid' },
    ];
    answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' } }] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([
      { arguments: '{"order":"1"}', status: 'incomplete' },
      { arguments: '{"order":"2"}', status: 'completed', output: 'paid' },
    ]);
    expect(response.output.filter(({ type }) => type === 'mcp_call')).toHaveLength(1);
  });

  test('ends a call of a candidate that failed, also if its successor makes none', async () => {
    events = [
      started('answer/turn-1'),
      ...said('answer/turn-1', 'I look.'),
      finished('answer/turn-1'),
      called,
      started('answer~1/turn-1'),
      ...said('answer~1/turn-1', 'It is paid.'),
      finished('answer~1/turn-1'),
    ];
    answers('It is paid.', undefined, { toolCalls: [] });
    const { done, response } = await streamed();
    expect(done.filter(({ type }) => type === 'mcp_call')).toMatchObject([{ status: 'incomplete' }]);
    expect(response.output.map(({ type }) => type)).toEqual(['message', 'message']);
  });
});

test("Anthropic's messages have a block for each turn", async () => {
  events = torn();
  answers('It is done.', 'I look.');
  const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
  const stream = client.messages.stream({
    model: 'desk',
    max_tokens: 64,
    messages: [{ role: 'user', content: 'Pay!' }],
  });
  const { content, stop_reason } = await stream.finalMessage();
  expect(content).toMatchObject(['I look.', 'It is paid.', 'It is done.'].map((text) => ({ type: 'text', text })));
  expect(stop_reason).toBe('end_turn');
  // What its clients skip, others read.
  const raw = await gateway.app.inject({
    method: 'POST',
    url: '/v1/messages',
    payload: { model: 'desk', max_tokens: 64, stream: true, messages: [{ role: 'user', content: 'Pay!' }] },
  });
  const extension = raw.body.split('\n').filter((line) => line.startsWith('data: {"type":"ping"'));
  expect(extension.map((line) => JSON.parse(line.slice(6)).millrace)).toMatchObject([
    { tool_call: { name: 'refund', arguments: '{"order":"1"}', status: 'in_progress' } },
    { tool_call: { name: 'refund', status: 'completed', output: 'paid' } },
    { void_block: 1 },
  ]);
  // Events of other types break some clients, such as Vercel's.
  const types = new Set(raw.body.split('\n').flatMap((line) => (line.startsWith('event: ') ? [line.slice(7)] : [])));
  const known = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta'];
  expect([...types].filter((type) => ![...known, 'message_stop', 'ping', 'error'].includes(type))).toEqual([]);
});

describe('AG-UI', () => {
  async function run() {
    const client = new HttpAgent({ url: `${url}/v1/agui/desk`, threadId: randomUUID() });
    client.messages = [{ id: '1', role: 'user', content: 'Pay!' }];
    const all: (BaseEvent & Record<string, unknown>)[] = [];
    client.subscribe({ onEvent: ({ event }) => void all.push(event as never) });
    const { newMessages } = await client.runAgent();
    return { all, newMessages };
  }

  test('has the messages, the thoughts, the calls and their results in their order', async () => {
    events = turns();
    answers('It is paid.', 'I look.');
    const { newMessages } = await run();
    expect(newMessages).toMatchObject([
      { role: 'reasoning', content: 'Hm.' },
      {
        role: 'assistant',
        content: 'I look.',
        toolCalls: [{ function: { name: 'refund', arguments: '{"order":"1"}' } }],
      },
      { role: 'tool', content: 'paid' },
      { role: 'assistant', content: 'It is paid.' },
    ]);
  });

  test('has one message where its model thinks again before another attempt', async () => {
    events = rethought();
    answers('It is paid.', 'I look.');
    const { newMessages } = await run();
    expect(newMessages.slice(-2)).toMatchObject([
      { role: 'reasoning', content: 'So.' },
      { role: 'assistant', content: 'It is paid.' },
    ]);
  });

  test('names a message that is void, though its model thinks again', async () => {
    events = [
      ...rethought().slice(0, -3),
      { type: 'stage.reasoning', ...of('answer/turn-2', 2), text: 'Again.' },
      ...said('answer/turn-2', 'Done.'),
    ];
    answers('Done.', 'I look.');
    const { all, newMessages } = await run();
    const [voided] = all.flatMap(({ type, value }) => (type === 'CUSTOM' ? [value as { messageId: string }] : []));
    const broken = newMessages.find(({ id }) => id === voided?.messageId);
    expect(broken).toMatchObject({ role: 'assistant', content: 'It is' });
    expect(newMessages.at(-1)).toMatchObject({ content: 'Done.' });
  });

  test('names a message that is void', async () => {
    events = torn();
    answers('It is done.', 'I look.');
    const { all, newMessages } = await run();
    const [voided] = all.filter(({ type }) => type === 'CUSTOM');
    const [broken, whole] = newMessages.slice(-2);
    expect(broken).toMatchObject({
      content: 'It is paid.',
      id: (voided as { value?: { messageId: string } } | undefined)?.value?.messageId,
    });
    expect(whole).toMatchObject({ content: 'It is done.' });
  });

  test('names a call that another candidate makes differently, and tells the other with its result', async () => {
    const other = { ...call, path: 'answer~1/turn-1/refund:2' };
    events = [
      called,
      { type: 'tool.called', ...other, arguments: { order: '2' } },
      { type: 'tool.ended', ...other, end: 'done', result: 'paid' },
    ];
    answers('It is paid.', undefined, { toolCalls: [{ ...record, arguments: { order: '2' } }] });
    const { all, newMessages } = await run();
    const calls = newMessages.flatMap((each) => (each.role === 'assistant' ? (each.toolCalls ?? []) : []));
    expect(calls.map((each) => each.function.arguments)).toEqual(['{"order":"1"}', '{"order":"2"}']);
    expect(newMessages.filter(({ role }) => role === 'tool')).toMatchObject([
      { toolCallId: calls[0]?.id, content: 'Error: the call was not made' },
      { toolCallId: calls[1]?.id, content: 'paid' },
    ]);
    expect(all.filter(({ type }) => type === 'CUSTOM')).toMatchObject([
      { name: 'millrace.void', value: { toolCallId: calls[0]?.id } },
    ]);
  });
});
