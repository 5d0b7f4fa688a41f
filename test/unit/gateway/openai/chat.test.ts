import { gzipSync } from 'node:zlib';
import { OpenAI } from 'openai';
import { describe, expect, test } from 'vitest';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { failure } from '../../../support/fake-temporal.js';
import { chatDoor } from './chat-door.js';

const door = chatDoor();

describe('a completion', () => {
  test('is the run’s answer, with the tokens of its model calls', async () => {
    door.answers({ text: 'So.', finish: 'length' });
    const response = await door.post({ model: 'chat' });
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

  test.each([
    ['hit', { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    ['shared', { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    ['miss', undefined],
  ] as const)('says what an answer has taken whose server reports nothing (cache: %s)', async (cache, usage) => {
    const row = {
      stage: 'answer',
      kind: 'chat',
      connector: 'x',
      model: 'm',
      device: '',
      status: 'done',
      cache,
    } as const;
    door.gateway.temporal.onStart = (run) => run.end({ output: { text: 'So.', finish: 'stop' }, stages: [row] });
    expect((await door.post({ model: 'chat' })).json<{ usage?: object }>().usage).toEqual(usage);
  });

  test('has the tool calls as OpenAI writes them', async () => {
    door.answers({ text: '', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 'x' } }] });
    const { choices } = (await door.post({ model: 'chat' })).json<{ choices: object[] }>();
    const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":"x"}' } };
    expect(choices[0]).toMatchObject({ message: { content: null, tool_calls: [call] }, finish_reason: 'tool_calls' });
  });

  test('runs only the stages that the text needs', async () => {
    door.answers({ reply: 'So.' });
    await door.post({ model: 'assistant' });
    expect(door.contextGiven().outputs).toEqual(['reply']);
    expect(door.inputGiven()).toEqual({ text: 'Why?' });
  });
});

describe('errors are in OpenAI’s shape', () => {
  test.each([
    ['GET', '/v1/models/nothing', 404, 'model_not_found'],
    ['GET', '/v1/chat/nothing', 404, 'ROUTE_NOT_FOUND'],
    ['GET', '/v1/chat/completions', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/v1/files', 404, 'ROUTE_NOT_FOUND'],
    ['POST', '/v1/batches', 404, 'ROUTE_NOT_FOUND'],
    ['GET', '/v1/realtime?model=chat', 404, 'ROUTE_NOT_FOUND'],
    ['POST', '/chat/completions', 404, 'ROUTE_NOT_FOUND'],
  ] as const)('%s %s', async (method, url, status, code) => {
    const response = await door.gateway.app.inject({ method, url });
    expect(response.statusCode).toBe(status);
    expect(response.json()).toMatchObject({ error: { code, type: 'invalid_request_error' } });
    expect(response.headers['x-request-id']).toBeTruthy();
  });

  test.each([
    ['post', '/chat/completions', '/v1/chat/completions'],
    ['get', '/models', '/v1/models'],
    ['post', '/v1/v1/embeddings', '/v1/embeddings'],
    ['post', '/v1/chat/completions/', '/v1/chat/completions'],
  ] as const)('a client with a wrong base URL is told the right path (%s %s)', async (method, path, meant) => {
    const { app } = door.gateway;
    const baseURL = await app.listen({ host: '127.0.0.1', port: 0 });
    const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
    const message = `404 no route matches ${path}; did you mean ${meant}?`;
    const asked = method === 'get' ? client.get(path) : client.post(path);
    await expect(asked).rejects.toMatchObject({ message });
  });

  test('an unknown model', async () => {
    const response = await door.post({ model: 'gpt-9' });
    expect(response.statusCode).toBe(404);
    expect(response.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } });
  });

  test('a compressed body, which is no damaged JSON', async () => {
    door.answers({ text: 'So.' });
    const json = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Why?' }] });
    const send = (encoding: string, payload: string | Buffer, url = '/v1/chat/completions') => {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      return door.gateway.app.inject({ method: 'POST', url, headers, payload });
    };
    const response = await send('gzip', gzipSync(json));
    expect(response.statusCode).toBe(415);
    expect(response.json()).toMatchObject({ error: { code: 'UNSUPPORTED_CONTENT_TYPE', param: 'Content-Encoding' } });
    for (const url of ['/v1/responses', '/v1/embeddings', '/v1/messages', '/mcp', '/a2a/chat', '/v1/runs/x/approve'])
      expect([url, (await send('deflate', gzipSync(json), url)).statusCode]).toEqual([url, 415]);
    // A charset in the wrong header says nothing of the body.
    expect((await send('UTF-8', json)).statusCode).toBe(200);
  });

  test('a body that is no JSON', async () => {
    const headers = { 'content-type': 'application/json' };
    const response = await door.gateway.app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers,
      payload: '{',
    });
    expect(response.json()).toMatchObject({ error: { code: 'INVALID_JSON', type: 'invalid_request_error' } });
  });

  test.each([false, true])('a run that fails before its first word (stream: %s)', async (stream) => {
    door.gateway.temporal.onStart = (run) => run.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    const response = await door.post({ model: 'chat', stream });
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ error: { message: 'no server', type: 'server_error', param: null } });
    expect(response.headers['x-should-retry']).toBeUndefined();
  });

  test.each([false, true])(
    'a run that its server refuses for now stays 429, with the wait (stream: %s)',
    async (stream) => {
      const details = { stages: [], retryAfterMs: 1_500 };
      door.gateway.temporal.onStart = (run) => run.end(failure('BACKEND_RATE_LIMITED', 'slow down', details));
      const response = await door.post({ model: 'chat', stream });
      expect([response.statusCode, response.headers['retry-after']]).toEqual([429, '2']);
      expect(response.json()).toMatchObject({ error: { code: 'rate_limit_exceeded', type: 'requests' } });
    },
  );

  test('a conversation that is too long for the model', async () => {
    door.gateway.temporal.onStart = (run) => run.end(failure('CONTEXT_TOO_LONG', 'too long', { stages: [] }));
    const response = await door.post({ model: 'chat' });
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
    door.events = [started, delta('So'), { ...delta('never'), stage: 'other' } as RunEvent, delta('. Now.')];
    door.answers({ text: 'So. Now.', finish: 'stop' });
    const { body, headers } = await door.post({ model: 'chat', stream: true, stream_options: { include_usage: true } });
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
    door.events = [
      started,
      delta('So'),
      delta('. N'),
      { ...started, attempt: 2 },
      delta('S'),
      delta('o. No'),
      delta('w.'),
    ];
    door.answers({ text: 'So. Now.', finish: 'stop' });
    const { body } = await door.post({ model: 'chat', stream: true });
    expect(textOf(body).join('|')).toBe('So|. N|o|w.|');
  });

  test('breaks off when the next attempt gives another text', async () => {
    door.events = [started, delta('So'), { ...started, attempt: 2 }, delta('No')];
    const { body } = await door.post({ model: 'chat', stream: true });
    expect(parsedChunks(body).at(-1)).toMatchObject({ error: { type: 'server_error', code: 'BACKEND_ERROR' } });
    expect(body).not.toContain('[DONE]');
    expect(door.gateway.temporal.sent).toEqual([['cancel']]);
  });

  test('that has begun ends with the error of its run', async () => {
    door.events = [started, delta('So')];
    door.gateway.temporal.onStart = (run) => run.end(failure('IDLE_TIMEOUT', 'it fell silent', { stages: [] }));
    const { body, statusCode } = await door.post({ model: 'chat', stream: true });
    expect(statusCode).toBe(200);
    expect(parsedChunks(body).at(-1)).toMatchObject({ error: { message: 'it fell silent', code: 'IDLE_TIMEOUT' } });
  });

  test('tells tool calls at its end', async () => {
    door.answers({ text: '', finish: 'tools', toolCalls: [{ id: 'c1', name: 'look', arguments: {} }] });
    const { body } = await door.post({ model: 'chat', stream: true });
    const call = { index: 0, id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
    expect(parsedChunks(body)).toMatchObject([
      { choices: [{ delta: { role: 'assistant', tool_calls: [call] } }] },
      { choices: [{ finish_reason: 'tool_calls' }] },
    ]);
  });
});

test('the list says what each model is for', async () => {
  const { data } = (await door.gateway.app.inject('/v1/models')).json<{
    data: { id: string; endpoints: string[] }[];
  }>();
  expect(data.map(({ id }) => id)).toEqual(['chat', 'assistant', 'rag-answer', 'tolerant', 'choiceless']);
  expect(data[0]?.endpoints).toEqual(['/v1/chat/completions', '/v1/responses']);
});
