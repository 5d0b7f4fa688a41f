import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { ErrorCode } from '../../../../pipelines/errors.js';
import { soonest } from '../../../support/soonest.js';
import { API_KEY, chunk, failure, fixture, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;

beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const chat = (signal?: AbortSignal) => invoke(backend, { kind: 'chat' }, signal && { signal });
const OK = { choices: [{ message: { content: 'Paris.' }, finish_reason: 'stop' }] };

interface ErrorBody {
  readonly server: string;
  readonly what: string;
  readonly status: number;
  readonly body: unknown;
  readonly code: ErrorCode;
}
const recorded = fixture<ErrorBody[]>('error-bodies.recorded');
const handwritten = fixture<ErrorBody[]>('error-bodies.handwritten');
const STATUS: ErrorBody[] = [408, 422, 529, 500, 501, 502, 503, 504].map((status, i) => ({
  server: 'any',
  what: 'no body',
  status,
  body: {},
  code: (
    [
      'BACKEND_TIMEOUT',
      'BACKEND_REJECTED',
      'BACKEND_OVERLOADED',
      'BACKEND_ERROR',
      'BACKEND_REJECTED',
      'BACKEND_UNAVAILABLE',
      'BACKEND_UNAVAILABLE',
      'BACKEND_TIMEOUT',
    ] as const
  )[i] as ErrorCode,
}));

describe('what an error’s status and body mean', () => {
  it.each([...recorded, ...handwritten, ...STATUS])(
    '$status of $server ($what) is $code, after one call',
    async ({ status, body, code }) => {
      server.json(status, body);
      const error = await failure(chat());
      expect(error.code, error.message).toBe(code);
      expect(error.details.endpoint).toBe(backend.endpoint);
      expect(server.received).toHaveLength(1);
    },
  );

  it('does not take the trace of a server that has failed for a refusal', async () => {
    server.json(500, { error: { message: "Traceback: plugin.py: ValueError: 'shard' is required" } });
    expect((await failure(chat())).code).toBe('BACKEND_ERROR');
  });

  it.each([
    [{ error: { message: 'told by OpenAI' } }, 'told by OpenAI'],
    [{ object: 'error', message: 'told by vLLM' }, 'told by vLLM'],
    [{ detail: 'told by FastAPI' }, 'told by FastAPI'],
    [{ error: 'told by Ollama' }, 'told by Ollama'],
    [{ detail: [{ loc: ['body', 'input'], msg: 'field required' }] }, 'field required'],
    [{ strange: 'told by nobody' }, 'told by nobody'],
  ])('%j tells what the matter is', async (body, message) => {
    server.json(400, body);
    expect((await failure(chat())).message).toContain(message);
  });

  it.each([
    ['seconds', () => '60'],
    ['an HTTP date', () => new Date(Date.now() + 60_000).toUTCString()],
  ])('a simulated 429 says how long to wait in %s', async (_, header) => {
    server.json(429, { error: { message: 'slow down' } }, { 'retry-after': header() });
    const { retryAfterMs = 0 } = (await failure(chat())).details;
    // A date has whole seconds, and the call takes its time.
    expect(retryAfterMs).toBeGreaterThan(55_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('keeps the API key out of an error that a simulated server puts it in', async () => {
    server.json(401, { error: { message: `${'x'.repeat(490)} Incorrect API key provided: ${API_KEY}` } });
    const error = await failure(chat());
    const texts = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join();
    expect(texts).not.toContain('sk-very');
  });
});

describe('a stream that goes wrong', () => {
  it.each(
    ['stream-errors.recorded', 'stream-errors.handwritten'].flatMap((name) =>
      fixture<{ server: string; event: object; code: ErrorCode }[]>(name),
    ),
  )('an error of $server in its middle is $code: $event', async ({ event, code }) => {
    server.events([chunk({ content: 'Par' }), event, chunk({ content: 'is' }, 'stop')]);
    const error = await failure(chat());
    expect(error.code, error.message).toBe(code);
    expect(error.details.endpoint).toBe(backend.endpoint);
    expect(server.received).toHaveLength(1);
  });

  it.each([
    ['with a last line', true],
    ['without', false],
  ])('ends before the reply does, %s: BACKEND_UNAVAILABLE', async (_, done) => {
    server.events([chunk({ content: 'Par' })], done);
    const error = await failure(chat());
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('3 characters') });
  });

  it('breaks off in the middle of an event: BACKEND_UNAVAILABLE', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(chunk({ content: 'Par' }))}\n\ndata: {"choi`, () => response.destroy());
    };
    expect((await failure(chat())).code).toBe('BACKEND_UNAVAILABLE');
  });

  it('has an event that is no JSON: INVALID_OUTPUT', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"choices":\n\n');
    };
    expect((await failure(chat())).code).toBe('INVALID_OUTPUT');
  });

  it('is a page and no stream: INVALID_OUTPUT', async () => {
    server.answer = (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>');
    expect(await failure(chat())).toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('text/html'),
    });
  });

  it('says when all tokens went into reasoning', async () => {
    server.events([chunk({ reasoning_content: 'Well, …' }), chunk({}, 'length')]);
    expect(await failure(chat())).toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('reasoning'),
    });
  });
});

describe('an answer that is no stream', () => {
  it('is read like one', async () => {
    server.json(200, { ...OK, usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } });
    const { output, usage, chunks } = await chat();
    expect(output).toEqual({ text: 'Paris.', finish: 'stop' });
    expect(usage).toEqual({ inputTokens: 9, outputTokens: 2 });
    expect(chunks).toEqual(['Paris.']);
  });

  it.each<[string, unknown, ErrorCode]>([
    ['no choices', { choices: [] }, 'INVALID_OUTPUT'],
    ['no list of choices', {}, 'INVALID_OUTPUT'],
    ['no message', { choices: [{}] }, 'INVALID_OUTPUT'],
    ['null for a message', { choices: [{ message: null }] }, 'INVALID_OUTPUT'],
    ['no message behind a filter', { choices: [{ finish_reason: 'content_filter: SPII' }] }, 'BACKEND_REJECTED'],
    ['no text', { choices: [{ message: { content: null }, finish_reason: 'length' }] }, 'LENGTH'],
    ['a text in place of it', 'ok', 'INVALID_OUTPUT'],
    ['null in place of it', null, 'INVALID_OUTPUT'],
    ['an error, all the same', { error: { message: 'overloaded', code: 529 } }, 'BACKEND_OVERLOADED'],
    ['a refusal', { choices: [{ message: { content: null, refusal: 'I cannot.' } }] }, 'BACKEND_REJECTED'],
  ])('with %s: %j is %s', async (_, body, code) => {
    server.json(200, body);
    expect((await failure(chat())).code).toBe(code);
  });

  it('that is cut is INVALID_OUTPUT', async () => {
    server.answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":');
    expect((await failure(chat())).code).toBe('INVALID_OUTPUT');
  });

  it('that is empty is a reply', async () => {
    server.json(200, { choices: [{ message: { content: '' }, finish_reason: 'stop' }] });
    expect((await chat()).output).toEqual({ text: '', finish: 'stop' });
  });
});

describe('a connection', () => {
  it.each<[string, (response: ServerResponse) => void]>([
    ['before an answer', (response) => response.destroy()],
    [
      'in the middle of one',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"choices":', () => response.destroy());
      },
    ],
  ])('that a simulated server breaks %s is BACKEND_UNAVAILABLE', async (_, breaks) => {
    server.answer = breaks;
    expect((await failure(chat())).code).toBe('BACKEND_UNAVAILABLE');
    expect(server.received).toHaveLength(1);
  });

  it('ends with the caller’s reason when a simulated server does not answer', async () => {
    server.answer = () => undefined;
    const reason = new Error('the run was cancelled');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    await expect(chat(controller.signal)).rejects.toBe(reason);
  });

  it('is not used again behind a stream: llama.cpp says that it keeps it, and closes it', async () => {
    server.events([chunk({ content: 'Paris.' }, 'stop')]);
    await chat();
    await chat();
    const [first, second] = server.received;
    expect(first?.headers.connection).toBe('close');
    expect(first?.port).not.toBe(second?.port);
  });

  it('is closed at once by an abort in the middle of a stream', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(chunk({ content: 'Par' }))}\n\n`);
    };
    const reason = new Error('the run was cancelled');
    const controller = new AbortController();
    const call = invoke(backend, { kind: 'chat' }, { signal: controller.signal, emit: () => controller.abort(reason) });
    await expect(call).rejects.toBe(reason);
    await vi.waitFor(() => expect(server.abandoned).toBe(1), 15_000);
  });

  it('is closed when a stream has an error, not left to go on', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"error":{"message":"failed"}}\n\n');
    };
    await failure(chat());
    await vi.waitFor(() => expect(server.abandoned).toBe(1), 15_000);
  });
});

describe('what a simulated server says of its models', () => {
  const fingerprint = () => backend.fingerprint('m', AbortSignal.timeout(110_000));

  it('is the name where it says nothing', async () => {
    expect(await fingerprint()).toBe('m');
    server.models = { status: 200, body: { data: [{ id: 'other' }] } };
    expect(await fingerprint()).toBe('m');
  });

  it('changes with the weights, not with how the server was started', async () => {
    const fingerprintWith = async (meta: object) => {
      server.models = { status: 200, body: { data: [{ id: 'm', meta }] } };
      return fingerprint();
    };
    const first = await fingerprintWith({ size: 1, n_params: 2, n_ctx: 4_096 });
    expect(await fingerprintWith({ size: 1, n_params: 2, n_ctx: 8_192 })).toBe(first);
    expect(await fingerprintWith({ size: 3, n_params: 2, n_ctx: 4_096 })).not.toBe(first);
  });

  it('is that llama.cpp is still loading, for a time', async () => {
    server.models = { status: 200, body: { data: [{ id: 'm', owned_by: 'llamacpp', meta: null }] } };
    expect((await failure(fingerprint())).code).toBe('BACKEND_UNAVAILABLE');
  });

  it('a model that a vLLM does not list is asked for all the same', async () => {
    server.models = { status: 200, body: { data: [{ id: 'other', owned_by: 'vllm' }] } };
    server.json(200, OK);
    expect((await chat()).output.text).toBe('Paris.');
  });

  it('a model that llama.cpp does not list is MODEL_NOT_FOUND, unasked', async () => {
    server.models = { status: 200, body: { data: [{ id: 'other', owned_by: 'llamacpp' }] } };
    server.json(200, OK);
    expect((await failure(chat())).code).toBe('MODEL_NOT_FOUND');
    expect(server.received).toHaveLength(0);
  });

  it('may have anything in its list', async () => {
    server.models = { status: 200, body: { data: [null, 'm', { id: 7 }, { id: 'm', owned_by: 'llamacpp' }] } };
    server.json(200, OK);
    expect((await chat()).output.text).toBe('Paris.');
  });

  it.each([
    ['deep', 'INVALID_OUTPUT', `{"data":[{"id":"m","meta":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}]}`],
    ['large', 'BACKEND_REJECTED', `{"data":[${'{},'.repeat(2_000_001)}{}]}`],
  ] as const)('is refused where it is %s: %s', async (_, code, text) => {
    server.models = { status: 200, body: text };
    expect((await failure(fingerprint())).code).toBe(code);
  });

  it('an alias of llama.cpp is its name too', async () => {
    server.models = { status: 200, body: { data: [{ id: 'file.gguf', aliases: ['m'], owned_by: 'llamacpp' }] } };
    server.json(200, OK);
    expect((await chat()).output.text).toBe('Paris.');
  });
});

describe('an answer with null where an object belongs is INVALID_OUTPUT:', () => {
  const calls = { tool_calls: [null] };
  it.each([[{ choices: [null] }], [{ choices: {} }], [{ choices: [{ message: calls, finish_reason: 'tool_calls' }] }]])(
    '%j',
    async (body) => {
      server.json(200, body);
      expect((await failure(chat())).code).toBe('INVALID_OUTPUT');
    },
  );
  it.each([[{ choices: [null] }], [null], [chunk(calls, 'tool_calls')]])('an event %j', async (event) => {
    server.events([event]);
    expect((await failure(chat())).code).toBe('INVALID_OUTPUT');
  });
});

describe('an answer that no server means to give', () => {
  const LOGPROBS = { content: [{ token: 'a', logprob: -1, top_logprobs: [null] }] };

  it.each<[string, string]>([
    ['lists in lists', `{"choices":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['a list for a choice', '{"choices":[[1]]}'],
    [
      'null for a probability',
      JSON.stringify({ choices: [{ index: 0, message: { content: 'a' }, logprobs: LOGPROBS, finish_reason: 'stop' }] }),
    ],
  ])('is INVALID_OUTPUT, in a stream and without: %s', async (_, body) => {
    for (const [type, text] of [
      ['text/event-stream', `data: ${body}\n\ndata: [DONE]\n\n`],
      ['application/json', body],
    ]) {
      server.answer = (response) => response.writeHead(200, { 'content-type': type }).end(text);
      const { code, message } = await failure(chat());
      expect(code).toBe('INVALID_OUTPUT');
      expect(message.length).toBeLessThan(500);
    }
  });

  it('is searched once, however small the pieces are that an event comes in', async () => {
    const event = Buffer.from(
      `data: ${JSON.stringify({ ...chunk({ content: 'Paris.' }, 'stop'), more: 'x'.repeat(6 * 2 ** 20) })}\n\n`,
    );
    server.answer = async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < event.length; at += 4_096) {
        response.write(event.subarray(at, at + 4_096));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end('data: [DONE]\n\n');
    };
    const tookMs = await soonest(10_000, async () => expect((await chat()).output.text).toBe('Paris.'));
    expect(tookMs).toBeLessThan(10_000);
  });

  it('has an event that is cut where the connection ends, which is no reply', async () => {
    server.answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${JSON.stringify(chunk({ content: 'Par' }))}\n\ndata: {"choi`);
    };
    expect((await failure(chat())).code).toBe('BACKEND_UNAVAILABLE');
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('%i is not followed: neither key nor prompt go elsewhere', async (status) => {
    const other = await SimulatedServer.start();
    other.json(200, OK);
    server.json(status, {}, { location: `${other.endpoint}/chat/completions` });
    const error = await failure(chat());
    expect(error).toMatchObject({ code: 'BACKEND_REJECTED', details: { endpoint: backend.endpoint } });
    expect(error.message).toContain(`it redirects to ${new URL(other.endpoint).origin}, which is not followed`);
    expect(other.received).toHaveLength(0);
    await other.stop();
  });

  it('to nowhere is one', async () => {
    server.json(307, {}, { location: 'http://' });
    expect((await failure(chat())).message).toContain('an invalid URL');
  });
});

describe('an answer without end breaks off', () => {
  /** Sends `piece` until the client has enough. */
  const endless = (status: number, type: string, piece: string) => {
    server.answer = async (response) => {
      response.writeHead(status, { 'content-type': type });
      const closed = once(response, 'close');
      while (!response.destroyed) {
        if (response.write(piece.repeat(1 + 2 ** 20 / piece.length))) await new Promise(setImmediate);
        else await Promise.race([once(response, 'drain'), closed]);
      }
    };
  };
  it.each([
    ['a stream', 200, 'text/event-stream', `data: ${JSON.stringify(chunk({ role: 'x'.repeat(100_000) }))}\n\n`],
    ['a body', 200, 'application/json', ' '],
    ['an error', 500, 'application/json', ' '],
  ])(
    'above 64 MiB: %s',
    async (_, status, type, piece) => {
      endless(status, type, piece);
      const error = await failure(chat(AbortSignal.timeout(150_000)));
      expect(error).toMatchObject({ code: 'BACKEND_REJECTED', details: { endpoint: backend.endpoint } });
      expect(error.message).toContain('longer than 64 MiB');
      await expect.poll(() => server.abandoned).toBe(1);
    },
    160_000,
  );
});

it('a page as an error is not searched to its end', async () => {
  server.json(400, { error: { message: 'model '.repeat(100_000) } });
  const tookMs = await soonest(2_000, async () => expect((await failure(chat())).code).toBe('BACKEND_REJECTED'));
  expect(tookMs).toBeLessThan(2_000);
});
