import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../activities/connectors/connector.js';
import { openAiConnector } from '../../../activities/connectors/openai/index.js';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';

/*
 * Faults that no real server of the embedded stack can be made to show, from a small HTTP server in their place.
 * Everything else is in test/contract/openai.test.ts, against the real one.
 */

const API_KEY = 'sk-very-secret-key';
const OK = { choices: [{ message: { content: 'Paris.' }, finish_reason: 'stop' }] };

let server: Server;
let backend: Backend;
let requests: { url: string; body: Record<string, unknown>; headers: IncomingMessage['headers'] }[];
let answer: (response: ServerResponse) => void;
let models: { status: number; body: unknown };

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => {
  answer = (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};

const listen: RequestListener = async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString() || '{}');
  if (request.url === '/v1/models') {
    response.writeHead(models.status, { 'content-type': 'application/json' }).end(JSON.stringify(models.body));
    return;
  }
  requests.push({ url: request.url ?? '', body, headers: request.headers });
  answer(response);
};

beforeEach(async () => {
  requests = [];
  models = { status: 404, body: {} };
  server = createServer((request, response) => void listen(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  backend = openAiConnector({ apiKey: API_KEY }).connect(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
  );
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const invoke = (kind: 'chat' | 'embed' | 'transcribe', signal = AbortSignal.timeout(5_000)) =>
  backend.invoke(
    {
      kind,
      model: 'm',
      with: kind === 'chat' ? { system: 'Be brief.', maxTokens: 8, temperature: 0.5 } : {},
      input: { prompt: 'Capital of France?', text: 'France' },
    },
    { signal, checkpoint: () => undefined, audio: { read: unused, write: unused } },
  );

function unused(): never {
  throw new Error('no audio here');
}

async function failure(promise: Promise<unknown>): Promise<MillraceError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MillraceError)) throw new Error(`expected a MillraceError, got ${String(error)}`);
  return error;
}

describe('chat, with a simulated server', () => {
  it('sends what the stage says, once, and returns the reply with its usage', async () => {
    json(200, { ...OK, usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } });
    expect(await invoke('chat')).toEqual({ output: { text: 'Paris.' }, usage: { inputTokens: 9, outputTokens: 2 } });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      url: '/v1/chat/completions',
      headers: { authorization: `Bearer ${API_KEY}` },
      body: {
        model: 'm',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Capital of France?' },
        ],
        max_tokens: 8,
        temperature: 0.5,
      },
    });
  });

  it.each<[number, unknown, ErrorCode]>([
    [400, { error: { message: 'maximum context length exceeded' } }, 'BACKEND_REJECTED'],
    [401, { error: { message: 'bad key' } }, 'BACKEND_UNAUTHORIZED'],
    [403, { error: { message: 'no access' } }, 'BACKEND_UNAUTHORIZED'],
    [404, { error: { message: 'The model `m` does not exist.', type: 'NotFoundError' } }, 'MODEL_NOT_FOUND'],
    [404, { detail: 'Not Found' }, 'BACKEND_REJECTED'],
    [408, {}, 'BACKEND_TIMEOUT'],
    [413, {}, 'BACKEND_REJECTED'],
    [422, {}, 'BACKEND_REJECTED'],
    [429, { error: { message: 'Rate limit reached' } }, 'BACKEND_OVERLOADED'],
    [429, { error: { message: 'Quota', code: 'insufficient_quota' } }, 'BACKEND_REJECTED'],
    [500, { error: { message: 'CUDA out of memory' } }, 'BACKEND_ERROR'],
    [501, { error: { message: 'not supported' } }, 'BACKEND_REJECTED'],
    [502, '<html>Bad Gateway</html>', 'BACKEND_UNAVAILABLE'],
    [503, { error: { message: 'Loading model', type: 'unavailable_error' } }, 'BACKEND_UNAVAILABLE'],
    [503, { error: { message: 'The engine is currently overloaded' } }, 'BACKEND_OVERLOADED'],
    [504, '', 'BACKEND_TIMEOUT'],
    [529, {}, 'BACKEND_OVERLOADED'],
  ])('a simulated %i %j is %s, after one call', async (status, body, code) => {
    json(status, body);
    const error = await failure(invoke('chat'));
    expect(error.code).toBe(code);
    expect(error.details.endpoint).toBe(backend.endpoint);
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['seconds', '7', 7_000],
    ['an HTTP date', new Date(Date.now() + 60_000).toUTCString(), 59_500],
  ])('a simulated 429 says how long to wait in %s', async (_, header, ms) => {
    json(429, { error: { message: 'slow down' } }, { 'retry-after': header });
    const { retryAfterMs = 0 } = (await failure(invoke('chat'))).details;
    expect(Math.abs(retryAfterMs - ms)).toBeLessThan(1_500);
  });

  it.each<[string, unknown]>([
    ['no choices', { choices: [] }],
    ['no list of choices', {}],
    ['no message', { choices: [{}] }],
    ['null for text', { choices: [{ message: { content: null }, finish_reason: 'length' }] }],
    ['a text that is no object', 'ok'],
  ])('a simulated answer with %s is INVALID_OUTPUT', async (_, body) => {
    json(200, body);
    expect((await failure(invoke('chat'))).code).toBe('INVALID_OUTPUT');
  });

  it('a simulated refusal is BACKEND_REJECTED', async () => {
    json(200, { choices: [{ message: { content: null, refusal: 'I cannot.' }, finish_reason: 'stop' }] });
    expect(await failure(invoke('chat'))).toMatchObject({ code: 'BACKEND_REJECTED' });
  });

  it('a simulated answer that is not JSON is INVALID_OUTPUT', async () => {
    answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":');
    expect((await failure(invoke('chat'))).code).toBe('INVALID_OUTPUT');
  });

  it('a simulated empty reply is a reply', async () => {
    json(200, { choices: [{ message: { content: '' }, finish_reason: 'stop' }] });
    expect((await invoke('chat')).output).toEqual({ text: '' });
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['before an answer', (response) => response.destroy()],
    [
      'in the middle of one',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"choices":', () => response.destroy());
      },
    ],
  ])('a connection that a simulated server breaks %s is BACKEND_UNAVAILABLE', async (_, breaks) => {
    answer = breaks;
    expect((await failure(invoke('chat'))).code).toBe('BACKEND_UNAVAILABLE');
    expect(requests).toHaveLength(1);
  });

  it('ends with the caller’s reason when a simulated server does not answer', async () => {
    answer = () => undefined;
    const reason = new Error('the run was cancelled');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    await expect(invoke('chat', controller.signal)).rejects.toBe(reason);
  });

  it('keeps the API key out of an error that a simulated server puts it in', async () => {
    json(401, { error: { message: `${'x'.repeat(490)} Incorrect API key provided: ${API_KEY}` } });
    const error = await failure(invoke('chat'));
    const told = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join();
    expect(told).not.toContain('sk-very');
  });

  it('does not serve another stage kind', async () => {
    expect(await failure(invoke('transcribe'))).toMatchObject({ code: 'BACKEND_REJECTED' });
  });
});

describe('embed, with a simulated server', () => {
  it('returns a vector of length 1', async () => {
    json(200, { data: [{ embedding: [3, 4], index: 0 }], usage: { prompt_tokens: 1, total_tokens: 1 } });
    expect(await invoke('embed')).toEqual({ output: { embedding: [0.6, 0.8] }, usage: { inputTokens: 1 } });
    expect(requests[0]?.body).toEqual({ model: 'm', input: 'France', encoding_format: 'float' });
  });

  it.each([{}, { data: [] }, { data: [{ embedding: 'AAAA' }] }, { data: [{ embedding: [0, 0] }] }])(
    'a simulated answer %j is INVALID_OUTPUT',
    async (body) => {
      json(200, body);
      expect((await failure(invoke('embed'))).code).toBe('INVALID_OUTPUT');
    },
  );
});

describe('what a simulated server says of its models', () => {
  const fingerprint = () => backend.fingerprint('m', AbortSignal.timeout(5_000));

  it('is the name where it says nothing', async () => {
    expect(await fingerprint()).toBe('m');
    models = { status: 200, body: { data: [{ id: 'other' }] } };
    expect(await fingerprint()).toBe('m');
  });

  it('changes with the weights, not with how the server was started', async () => {
    const told = async (meta: object) => {
      models = { status: 200, body: { data: [{ id: 'm', meta }] } };
      return fingerprint();
    };
    const first = await told({ size: 1, n_params: 2, n_ctx: 4_096 });
    expect(await told({ size: 1, n_params: 2, n_ctx: 8_192 })).toBe(first);
    expect(await told({ size: 3, n_params: 2, n_ctx: 4_096 })).not.toBe(first);
  });

  it('is that llama.cpp is still loading, for a time', async () => {
    models = { status: 200, body: { data: [{ id: 'm', owned_by: 'llamacpp', meta: null }] } };
    expect((await failure(fingerprint())).code).toBe('BACKEND_UNAVAILABLE');
  });

  it('a model that a vLLM does not list is asked for all the same', async () => {
    models = { status: 200, body: { data: [{ id: 'other', owned_by: 'vllm' }] } };
    json(200, OK);
    expect((await invoke('chat')).output).toEqual({ text: 'Paris.' });
  });

  it('an alias of llama.cpp is its name too', async () => {
    models = { status: 200, body: { data: [{ id: 'file.gguf', aliases: ['m'], owned_by: 'llamacpp' }] } };
    json(200, OK);
    expect((await invoke('chat')).output).toEqual({ text: 'Paris.' });
  });
});
