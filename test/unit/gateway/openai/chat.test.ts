import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inspectorOf } from '../../../../media/index.js';
import { assistant, chatModel, ragAnswer } from '../../../../pipelines/catalog/index.js';
import { chat, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

/** A pipeline whose author lets go what it does not take. */
const tolerant = pipeline(
  'tolerant',
  {
    input: z.object({ q: z.string() }),
    openai: { chat: { input: 'q', output: 'a', ignore: ['system', 'temperature', 'name'] } },
  },
  ({ input, stage }) => ({ a: stage('answer', chat({ model: 'assistant' }), { prompt: input.q }).text }),
);

let gateway: TestGateway;
/** What the run tells while it runs. */
let events: RunEvent[];

beforeEach(async () => {
  events = [];
  gateway = await testGateway(
    {},
    {
      pipelines: [chatModel, assistant, ragAnswer, tolerant] as unknown as Pipeline[],
      placementOf: () => ({}),
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
        },
      },
    },
  );
});
afterEach(() => gateway.close());

const user = { role: 'user', content: 'Why?' };
const post = (body: object) =>
  gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { messages: [user], ...body } });
const usage = { inputTokens: 7, outputTokens: 2 };
const stages = [
  { stage: 'answer', kind: 'chat', connector: 'x', model: 'm', device: '', status: 'done', usage } as const,
];
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages });
};
const inputGiven = (): JsonObject => gateway.temporal.only().options.args[0];
const contextGiven = () => gateway.temporal.only().options.args[1];

describe('a completion', () => {
  test('is the run’s answer, with the tokens of its model calls', async () => {
    answers({ text: 'So.', finish: 'length' });
    const response = await post({ model: 'chat' });
    expect(response.statusCode).toBe(200);
    const { id } = response.json<{ id: string }>();
    expect(response.headers['millrace-run']).toBe(id.replace('chatcmpl-', ''));
    expect(response.json()).toMatchObject({
      object: 'chat.completion',
      model: 'chat',
      system_fingerprint: chatModel.plan.version,
      choices: [{ index: 0, message: { role: 'assistant', content: 'So.' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
    });
  });

  test('has the tool calls as OpenAI writes them', async () => {
    answers({ text: '', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 'x' } }] });
    const { choices } = (await post({ model: 'chat' })).json<{ choices: object[] }>();
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":"x"}' } };
    expect(choices[0]).toMatchObject({ message: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' });
  });

  test('runs only the stages that the text needs', async () => {
    answers({ reply: 'So.' });
    await post({ model: 'assistant' });
    expect(contextGiven().outputs).toEqual(['reply']);
    expect(inputGiven()).toEqual({ text: 'Why?' });
  });
});

describe('a conversation', () => {
  test('goes whole to a pipeline that takes a history, its last message as the prompt', async () => {
    answers({ text: 'So.' });
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } };
    const messages = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'Be ' },
          { type: 'text', text: 'brief.' },
        ],
      },
      user,
      { role: 'assistant', content: null, refusal: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: 'seen' },
      user,
    ];
    await post({ model: 'chat', messages });
    expect(inputGiven()).toEqual({
      prompt: 'Why?',
      history: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Why?' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 1 } }] },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
      ],
    });
  });

  test('that ends with a tool’s result goes on from there', async () => {
    answers({ text: 'So.' });
    await post({ model: 'chat', messages: [user, { role: 'tool', tool_call_id: 'c1', content: 'seen' }] });
    expect(inputGiven()).toEqual({
      history: [
        { role: 'user', content: 'Why?' },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
      ],
    });
  });

  test('brings parameters under the fields’ names', async () => {
    answers({ text: 'So.' });
    const parameters = { type: 'object', properties: { at: { type: 'string' } } };
    await post({
      model: 'chat',
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      max_completion_tokens: 9,
      stop: 'END',
      seed: 1,
      tools: [{ type: 'function', function: { name: 'look', parameters } }],
      tool_choice: { type: 'function', function: { name: 'look' } },
      response_format: { type: 'json_schema', json_schema: { name: 'r', schema: parameters, strict: true } },
      user: 'u1',
      metadata: { a: 'b' },
      n: 1,
      logprobs: false,
    });
    expect(inputGiven()).toEqual({
      prompt: 'Why?',
      history: [],
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      maxTokens: 9,
      stop: ['END'],
      seed: 1,
      tools: [{ name: 'look', description: '', schema: parameters, strict: false }],
      toolChoice: { name: 'look' },
      output: { schema: parameters, strict: true },
    });
  });

  test('keeps the names of its speakers', async () => {
    answers({ text: 'So.' });
    const ada = { role: 'user', content: 'Why?', name: 'Ada' };
    const ben = { role: 'assistant', content: 'So.', name: 'Ben' };
    await post({ model: 'chat', messages: [{ role: 'system', content: 'Be brief.', name: 'host' }, ada, ben, user] });
    expect(inputGiven()).toEqual({
      prompt: 'Why?',
      history: [{ role: 'system', content: 'Be brief.', name: 'host' }, ada, ben],
    });
    gateway.temporal.runs.clear();
    await post({ model: 'chat', messages: [ben, ada] });
    expect(inputGiven()).toEqual({ history: [ben, ada] });
  });

  test.each(['auto', 'required'] as const)('offers only the allowed tools (%s)', async (mode) => {
    answers({ text: 'So.' });
    const named = (name: string) => ({ type: 'function', function: { name } });
    const tools = ['look', 'buy', 'ask'].map(named);
    const allowed = { mode, tools: [named('ask'), named('look')] };
    await post({ model: 'chat', tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } });
    expect(inputGiven()).toMatchObject({ tools: [{ name: 'look' }, { name: 'ask' }], toolChoice: mode });
    gateway.temporal.runs.clear();
    const flat = (name: string) => ({ type: 'function', name });
    const choice = { type: 'allowed_tools', mode, tools: [flat('buy')] };
    const payload = { model: 'chat', input: 'Why?', tools: ['look', 'buy'].map(flat), tool_choice: choice };
    const response = await gateway.app.inject({ method: 'POST', url: '/v1/responses', payload });
    expect(response.json()).toMatchObject({ tool_choice: choice });
    expect(inputGiven()).toMatchObject({ tools: [{ name: 'buy' }], toolChoice: mode });
  });

  test('brings images to a pipeline that sees', async () => {
    answers({ text: 'So.' });
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    const content = [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
    ];
    expect((await post({ model: 'chat', messages: [{ role: 'user', content }] })).statusCode).toBe(200);
    expect(inputGiven()).toMatchObject({ prompt: 'What is it?', images: [{ mime: 'image/png' }] });
  });

  const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } };
  const said = (text: string) => ({ type: 'text', text });

  test('brings media of every turn, in their order', async () => {
    answers({ text: 'So.' });
    const pdf = Buffer.from('%PDF-1.7').toString('base64');
    const wav = wavFile({ sampleRate: 8_000 }).toString('base64');
    const mp4 = Buffer.concat([Buffer.from('\0\0\0\x20ftypisom'), Buffer.alloc(64)]).toString('base64');
    const messages = [
      { role: 'user', content: [picture, said('What is it?')] },
      { role: 'assistant', content: 'A pixel.' },
      {
        role: 'user',
        content: [
          said('And '),
          said('these?'),
          { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` } },
          { type: 'input_audio', input_audio: { data: wav, format: 'wav' } },
          said('Or this?'),
          { type: 'video_url', video_url: { url: `data:video/mp4;base64,${mp4}` } },
        ],
      },
    ];
    const response = await post({ model: 'chat', messages });
    expect(response.json()).toMatchObject({ choices: [{ message: { content: 'So.' } }] });
    expect(inputGiven()).toMatchObject({
      prompt: 'And these?',
      parts: [
        { type: 'file', file: { mime: 'application/pdf' }, name: 'a.pdf' },
        { type: 'audio', audio: { mime: 'audio/wav', sampleRate: 8_000 } },
        { type: 'text', text: 'Or this?' },
        { type: 'video', video: { mime: 'video/mp4' } },
      ],
      history: [
        { role: 'user', content: '', parts: [{ type: 'image', image: { mime: 'image/png' } }, said('What is it?')] },
        { role: 'assistant', content: 'A pixel.' },
      ],
    });
    expect(JSON.stringify(inputGiven())).not.toContain(PNG);
  });

  test('brings a file that the gateway has, of the caller’s tenant only', async () => {
    answers({ text: 'So.' });
    const { uri } = await gateway.deps.artifacts.put(
      'default',
      Readable.from([Buffer.from('Hi')]),
      inspectorOf('file'),
    );
    const ask = (address: string) =>
      post({ model: 'chat', messages: [{ role: 'user', content: [{ type: 'file', file: { file_data: address } }] }] });
    expect((await ask(uri)).statusCode).toBe(200);
    expect(inputGiven()).toMatchObject({ prompt: '', parts: [{ type: 'file', file: { uri, mime: 'text/plain' } }] });
    expect((await ask(uri.replace('//default/', '//rival/'))).json()).toMatchObject({
      error: { code: 'ARTIFACT_NOT_FOUND' },
    });
  });

  test('loses in silence only what the author lets go', async () => {
    answers({ a: 'So.' });
    const messages = [{ role: 'system', content: 'Be brief.' }, user];
    expect((await post({ model: 'tolerant', messages, temperature: 1 })).statusCode).toBe(200);
    expect(inputGiven()).toEqual({ q: 'Why?' });
    gateway.temporal.runs.clear();
    expect((await post({ model: 'tolerant', messages: [{ ...user, name: 'Ada' }] })).statusCode).toBe(200);
    expect(inputGiven()).toEqual({ q: 'Why?' });
  });
});

describe('what cannot be answered as it is meant is refused by the parameter', () => {
  const system = { role: 'system', content: 'Be brief.' };
  const image = { type: 'image_url', image_url: { url: 'https://example.org/a.png' } };
  const named = (name: string) => ({ type: 'function', function: { name } });
  const tool = named('look');
  const cases: [string, object, string, string?][] = [
    ['too many choices', { model: 'chat', n: 9 }, 'n'],
    ['an unknown parameter', { model: 'chat', top_a: 3 }, 'top_a'],
    ['a sampling parameter without a field', { model: 'rag-answer', top_k: 3 }, 'top_k'],
    [
      'an allowed tool that is not offered',
      {
        model: 'chat',
        tools: [tool],
        tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [named('find')] } },
      },
      'tool_choice',
    ],
    ['a wrong type', { model: 'chat', temperature: 'hot' }, 'temperature'],
    ['a value out of bounds', { model: 'chat', temperature: 3 }, 'temperature'],
    ['two limits', { model: 'chat', max_tokens: 1, max_completion_tokens: 2 }, 'max_tokens'],
    ['a wrong message', { model: 'chat', messages: [user, { role: 'user' }] }, 'messages[1].content'],
    ['no messages', { model: 'chat', messages: [] }, 'messages'],
    ['a name that OpenAI has not', { model: 'chat', messages: [{ ...user, name: 'Ada L.' }] }, 'messages[0].name'],
    ['a name that is not taken', { model: 'rag-answer', messages: [{ ...user, name: 'Ada' }] }, 'messages[0].name'],
    ['an image by its address', { model: 'chat', messages: [{ role: 'user', content: [image] }] }, 'messages[0]'],
    [
      'bytes that are not what they are called',
      {
        model: 'chat',
        messages: [
          { role: 'user', content: [{ type: 'video_url', video_url: { url: 'data:video/mp4;base64,I0VYVE0zVQ==' } }] },
        ],
      },
      'messages',
      'INVALID_MEDIA',
    ],
    [
      'media that the pipeline has no place for',
      {
        model: 'rag-answer',
        messages: [{ role: 'user', content: [{ ...image, image_url: { url: 'data:image/png;base64,AA==' } }] }],
      },
      'messages[0]',
    ],
    [
      'a file by an id',
      { model: 'chat', messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }] },
      'messages[0].content[0].file.file_data',
    ],
    ['usage without a stream', { model: 'chat', stream_options: { include_usage: true } }, 'stream_options'],
    ['a temperature that is not taken', { model: 'rag-answer', temperature: 0.5 }, 'temperature'],
    ['a system message that is not taken', { model: 'rag-answer', messages: [system, user] }, 'messages[0]'],
    ['an earlier turn that is not taken', { model: 'tolerant', messages: [user, user] }, 'messages[0]'],
    ['tools that are not taken', { model: 'rag-answer', tools: [tool] }, 'tools'],
    ['a last message that is not the user’s', { model: 'rag-answer', messages: [system] }, 'messages[0]'],
    [
      'a field that the pipeline refuses',
      { model: 'chat', tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools',
    ],
  ];
  test.each(cases)('%s', async (_, body, param, code = 'INVALID_INPUT') => {
    const response = await post(body);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { type: 'invalid_request_error', param, code } });
    expect(response.headers['x-should-retry']).toBe('false');
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('what says nothing new is passed over', async () => {
    answers({ answer: 'So.' });
    const body = { model: 'rag-answer', top_p: 1, presence_penalty: 0, tool_choice: 'auto', tools: [] };
    expect((await post({ ...body, response_format: { type: 'text' }, store: false })).statusCode).toBe(200);
  });
});

describe('errors are in OpenAI’s shape', () => {
  test.each([
    ['GET', '/v1/models/nothing', 404, 'model_not_found'],
    ['GET', '/v1/chat/nothing', 404, 'ROUTE_NOT_FOUND'],
    ['GET', '/v1/chat/completions', 405, 'METHOD_NOT_ALLOWED'],
  ] as const)('%s %s', async (method, url, status, code) => {
    const response = await gateway.app.inject({ method, url });
    expect(response.statusCode).toBe(status);
    expect(response.json()).toMatchObject({ error: { code, type: 'invalid_request_error' } });
    expect(response.headers['x-request-id']).toBeTruthy();
  });

  test('an unknown model', async () => {
    const response = await post({ model: 'gpt-9' });
    expect(response.statusCode).toBe(404);
    expect(response.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } });
  });

  test('a body that is no JSON', async () => {
    const headers = { 'content-type': 'application/json' };
    const response = await gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload: '{' });
    expect(response.json()).toMatchObject({ error: { code: 'INVALID_JSON', type: 'invalid_request_error' } });
  });

  test.each([false, true])('a run that fails before its first word (stream: %s)', async (stream) => {
    gateway.temporal.onStart = (run) => run.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    const response = await post({ model: 'chat', stream });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ error: { message: 'no server', type: 'server_error', param: null } });
    expect(response.headers['x-should-retry']).toBeUndefined();
  });

  test.each([false, true])(
    'a run that its server refuses for now stays 429, with the wait (stream: %s)',
    async (stream) => {
      const details = { stages: [], retryAfterMs: 1_500 };
      gateway.temporal.onStart = (run) => run.end(failure('BACKEND_RATE_LIMITED', 'slow down', details));
      const response = await post({ model: 'chat', stream });
      expect([response.statusCode, response.headers['retry-after']]).toEqual([429, '2']);
      expect(response.json()).toMatchObject({ error: { code: 'rate_limit_exceeded', type: 'requests' } });
    },
  );

  test('a conversation that is too long for the model', async () => {
    gateway.temporal.onStart = (run) => run.end(failure('CONTEXT_TOO_LONG', 'too long', { stages: [] }));
    const response = await post({ model: 'chat' });
    expect([response.statusCode, response.headers['x-should-retry']]).toEqual([400, 'false']);
    expect(response.json()).toMatchObject({
      error: { code: 'context_length_exceeded', type: 'invalid_request_error' },
    });
  });
});

describe('a stream', () => {
  const of = { stage: 'answer', path: 'answer', attempt: 1 };
  const delta = (text: string): RunEvent => ({ type: 'stage.delta', ...of, text });
  const started: RunEvent = { type: 'stage.started', ...of, kind: 'chat', model: 'assistant' };
  const chunksOf = (body: string) =>
    body
      .trimEnd()
      .split('\n\n')
      .map((block) => block.replace(/^data: /, ''));
  const parsedChunks = (body: string) =>
    chunksOf(body)
      .filter((text) => text !== '[DONE]')
      .map((text) => JSON.parse(text) as { choices: { delta: { content?: string } }[]; error?: { code: string } });
  const textOf = (body: string) => parsedChunks(body).map(({ choices = [] }) => choices[0]?.delta.content ?? '');

  test('gives the text as it comes, the reason, the usage and the end', async () => {
    events = [started, delta('So'), { ...delta('never'), stage: 'other' } as RunEvent, delta('. Now.')];
    answers({ text: 'So. Now.', finish: 'stop' });
    const { body, headers } = await post({ model: 'chat', stream: true, stream_options: { include_usage: true } });
    expect(headers['content-type']).toBe('text/event-stream');
    expect(textOf(body)).toEqual(['So', '. Now.', '', '']);
    expect(parsedChunks(body)).toMatchObject([
      {
        object: 'chat.completion.chunk',
        choices: [{ delta: { role: 'assistant' }, finish_reason: null }],
        usage: null,
      },
      {},
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 } },
    ]);
    expect(chunksOf(body).at(-1)).toBe('[DONE]');
  });

  test('tells nothing twice when a stage is tried again', async () => {
    events = [started, delta('So'), delta('. N'), { ...started, attempt: 2 }, delta('S'), delta('o. No'), delta('w.')];
    answers({ text: 'So. Now.', finish: 'stop' });
    const { body } = await post({ model: 'chat', stream: true });
    expect(textOf(body).join('|')).toBe('So|. N|o|w.|');
  });

  test('breaks off when the next attempt gives another text', async () => {
    events = [started, delta('So'), { ...started, attempt: 2 }, delta('No')];
    const { body } = await post({ model: 'chat', stream: true });
    expect(parsedChunks(body).at(-1)).toMatchObject({ error: { type: 'server_error', code: 'BACKEND_ERROR' } });
    expect(body).not.toContain('[DONE]');
    expect(gateway.temporal.sent).toEqual([['cancel']]);
  });

  test('that has begun ends with the error of its run', async () => {
    events = [started, delta('So')];
    gateway.temporal.onStart = (run) => run.end(failure('IDLE_TIMEOUT', 'it fell silent', { stages: [] }));
    const { body, statusCode } = await post({ model: 'chat', stream: true });
    expect(statusCode).toBe(200);
    expect(parsedChunks(body).at(-1)).toMatchObject({ error: { message: 'it fell silent', code: 'IDLE_TIMEOUT' } });
  });

  test('tells tool calls at its end', async () => {
    answers({ text: '', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: {} }] });
    const { body } = await post({ model: 'chat', stream: true });
    const call = { index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
    expect(parsedChunks(body)).toMatchObject([
      { choices: [{ delta: { role: 'assistant', tool_calls: [call] } }] },
      { choices: [{ finish_reason: 'tool_calls' }] },
    ]);
  });
});

test('the list says what each model is for', async () => {
  const { data } = (await gateway.app.inject('/v1/models')).json<{ data: { id: string; endpoints: string[] }[] }>();
  expect(data.map(({ id }) => id)).toEqual(['chat', 'assistant', 'rag-answer', 'tolerant']);
  expect(data[0]?.endpoints).toEqual(['/v1/chat/completions', '/v1/responses']);
});
