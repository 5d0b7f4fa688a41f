import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { ANY_ID, TOOLS } from './openai-chat-server.js';
import { failure, fixture, invoke, SimulatedServer } from './openai-server.js';

/*
 * Triton's OpenAI frontend (github.com/triton-inference-server/server, python/openai) by its source: it needs Triton's Python bindings and an
 * LLM backend, which do not run here.
 */

let server: SimulatedServer;
let backend: Backend;
beforeEach(async () => {
  server = await SimulatedServer.start();
  server.models = { status: 200, body: { object: 'list', data: [{ id: 'm', owned_by: 'Triton Inference Server' }] } };
  backend = server.connect();
});
afterEach(() => server.stop());

const signal = () => AbortSignal.timeout(110_000);
const json = (response: ServerResponse, status: number, body: object) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

describe('Triton’s OpenAI frontend', () => {
  it('is told by its list of models', async () => {
    expect(await backend.server?.('m', signal())).toBe('Triton Inference Server');
  });

  it('streams a chat with its usage, and gets no member that it does not know: it refuses those', async () => {
    server.replay(fixture('triton-frontend.handwritten'));
    const penalties = { presencePenalty: 0.5, frequencyPenalty: 0.25 };
    const options = { maxTokens: 8, temperature: 0, topP: 0.5, seed: 1, stop: ['\n'], ...penalties };
    const { output, usage, chunks } = await invoke(
      backend,
      { kind: 'chat', with: options },
      { tenant: 'acme', priority: 'interactive' },
    );
    expect(output).toMatchObject({ text: 'Paris.', finish: 'stop' });
    expect(usage).toEqual({ inputTokens: 12, outputTokens: 2 });
    expect(chunks).toEqual(['Par', 'is.']);
    const body = server.received[0]?.body;
    expect(body).toMatchObject({ seed: 1, presence_penalty: 0.5, frequency_penalty: 0.25 });
    // Of CreateChatCompletionRequest, whose model forbids extra members.
    const sampling = ['max_tokens', 'temperature', 'top_p', 'seed', 'stop', 'presence_penalty', 'frequency_penalty'];
    const known = ['messages', 'model', 'stream', 'stream_options', ...sampling];
    expect(known).toEqual(expect.arrayContaining(Object.keys(body)));
  });

  it('calls a named tool', async () => {
    server.replay(fixture('triton-frontend-tool.handwritten'));
    const { output } = await invoke(backend, { kind: 'chat', with: { ...TOOLS, toolChoice: { name: 'weather' } } });
    expect(output.toolCalls).toEqual([{ id: ANY_ID, name: 'weather', arguments: { city: 'Paris' } }]);
  });

  it.each([
    ['a schema', { schema: { type: 'object', properties: {} } }, {}],
    ['JSON', {}, { output: 'json' }],
    ['a choice', { constrain: { choice: ['yes', 'no'] } }, {}],
  ])('is not asked for a reply bound to %s, which it would ignore', async (_, options, input) => {
    const call = { kind: 'chat', with: options, input: { prompt: 'Well?', ...input } };
    expect((await failure(invoke(backend, call))).code).toBe('CAPABILITY_MISSING');
    expect(server.received).toHaveLength(0);
  });

  it('that ignores a schema is no matter where the reply need not fit', async () => {
    server.replay(fixture('triton-frontend.handwritten'));
    const options = { schema: { type: 'object', properties: {} }, bind: false };
    expect((await invoke(backend, { kind: 'chat', with: options })).output).toMatchObject({ text: 'Paris.' });
  });

  it('embeds one text a request', async () => {
    server.answer = (response) =>
      json(response, 200, { data: [{ index: 0, embedding: [2, 0] }], usage: { prompt_tokens: 1 } });
    const { output, usage } = await invoke(backend, { kind: 'embed', input: { texts: ['a', 'b'] } });
    expect(output).toEqual({
      embeddings: [
        [1, 0],
        [1, 0],
      ],
    });
    expect(usage).toEqual({ inputTokens: 2 });
    expect(server.received.map(({ body }) => body.input)).toEqual(['a', 'b']);
  });

  it.each([
    [400, { detail: 'Unknown model: m' }, 'MODEL_NOT_FOUND'],
    [400, { detail: 'only text message is supported, but got image_url' }, 'BACKEND_REJECTED'],
    [
      422,
      { detail: [{ type: 'extra_forbidden', loc: ['body', 'top_k'], msg: 'Extra inputs are not permitted' }] },
      'BACKEND_REJECTED',
    ],
    [500, { detail: 'Unknown tokenizer' }, 'BACKEND_ERROR'],
  ])('%i %j is %s', async (status, body, code) => {
    server.json(status, body);
    expect((await failure(invoke(backend, { kind: 'chat' }))).code).toBe(code);
  });

  it('is ready by a report of its own', async () => {
    let status = 200;
    server.answer = (response, { url }) =>
      url === '/health/ready'
        ? json(response, status, { detail: 'not ready' })
        : json(response, 404, { detail: 'Not Found' });
    expect(await backend.ready?.('m', signal())).toBe(true);
    status = 400;
    const error = await failure(backend.ready?.('m', signal()) ?? Promise.resolve());
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { unsent: true } });
  });
});
