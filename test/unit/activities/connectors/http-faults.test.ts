import { describe, expect, it } from 'vitest';
import type { CallContext } from '../../../../activities/connectors/connector.js';
import { httpConnector } from '../../../../activities/connectors/http/index.js';
import type { ErrorCode } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { freePort } from '../../../support/free-port.js';
import { loopbackServer } from './loopback-server.js';

/* What no real server of the tests can be made to show; the rest is in test/contract/http.test.ts. */

const server = loopbackServer();
const limit = () => AbortSignal.timeout(110_000);
const none = () => {
  throw new Error('no audio here');
};

const call = (
  options: { method?: string; path?: string } = {},
  input: JsonObject = {},
  context: Partial<CallContext> = {},
  endpoint = server.url,
) =>
  httpConnector()
    .connect(endpoint)
    .invoke(
      { kind: 'http', model: 'weather', with: { method: 'GET', path: '/x', ...options }, input },
      {
        signal: limit(),
        audio: { read: none, write: none },
        checkpoint: () => undefined,
        emit: () => undefined,
        ...context,
      },
    );

describe('requests', () => {
  it('sends path, query, body and the idempotency key, and nothing secret', async () => {
    server.gives(201, '{"ok":true}', { 'content-type': 'application/json' });
    const input = { path: { city: 'Zürich' }, query: { days: 2 }, body: { note: 'é' } };
    const reply = await call({ method: 'POST', path: '/v1/{city}' }, input, { idempotencyKey: 'run-1/forecast' });
    expect(reply).toEqual({ output: { status: 201, body: { ok: true } } });
    const [received] = server.received;
    expect(received).toMatchObject({ method: 'POST', url: '/v1/Z%C3%BCrich?days=2', body: '{"note":"é"}' });
    expect(received?.headers).toMatchObject({
      accept: 'application/json',
      'content-type': 'application/json',
      'idempotency-key': 'run-1/forecast',
    });
    expect(Object.keys(received?.headers ?? {})).not.toContain('authorization');
    expect(Object.keys(received?.headers ?? {})).not.toContain('cookie');
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])('sends %s without a body', async (method) => {
    server.gives(204, '');
    expect((await call({ method })).output).toEqual({ status: 204, body: null });
    expect(server.received[0]?.method).toBe(method);
    expect(server.received[0]?.headers['content-type']).toBeUndefined();
    expect(server.received[0]?.headers['idempotency-key']).toBeUndefined();
  });

  it.each([null, false, 0, ''])('sends the body %j', async (body) => {
    server.gives(204, '');
    await call({ method: 'POST' }, { body });
    expect(server.received[0]?.body).toBe(JSON.stringify(body));
  });

  it('refuses a GET with a body and a path without its value, and asks nobody', async () => {
    await expect(call({}, { body: 1 })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'body', message: 'a GET has no body' }] },
    });
    await expect(call({ path: '/{city}' })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'path.city' }] },
    });
    expect(server.received).toEqual([]);
  });
});

describe('answers', () => {
  it.each<[string, string, unknown]>([
    ['application/json', '[1,null]', [1, null]],
    ['application/json; charset=utf-8', '"x"', 'x'],
    ['application/problem+json', '{}', {}],
    ['application/vnd.api.v2+json', '{}', {}],
    ['APPLICATION/JSON', '0', 0],
    ['text/plain', '{"a":1}', '{"a":1}'],
    ['text/csv; charset=utf-8', 'é', 'é'],
    ['', '{"a":1}', { a: 1 }],
  ])('%s %s', async (type, body, expected) => {
    server.gives(200, body, type === '' ? {} : { 'content-type': type });
    expect((await call()).output).toEqual({ status: 200, body: expected });
  });

  it('reads a text in the charset that it is in', async () => {
    server.gives(200, Buffer.from([0xe9]), { 'content-type': 'text/plain; charset=ISO-8859-1' });
    expect((await call()).output).toEqual({ status: 200, body: 'é' });
  });

  it.each<[string, Buffer, string]>([
    ['application/octet-stream', Buffer.from('{}'), 'the answer is application/octet-stream, not JSON'],
    ['image/png', Buffer.from([1]), 'the answer is image/png, not JSON'],
    ['application/json', Buffer.from('{"a":'), 'the answer’s text is not JSON'],
    ['application/json', Buffer.from('['.repeat(65) + ']'.repeat(65)), 'the answer’s JSON is nested more than 64 deep'],
    ['application/json', Buffer.from([0x22, 0xff, 0x22]), 'the answer is not text in utf-8'],
    ['', Buffer.from('hello'), 'the answer’s text is not JSON'],
  ])('%s is INVALID_OUTPUT', async (type, body, problem) => {
    server.gives(200, body, type === '' ? {} : { 'content-type': type });
    await expect(call()).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: `weather at ${server.url}: ${problem}`,
      details: { endpoint: server.url },
    });
  });

  it.each<[number, ErrorCode]>([
    [304, 'BACKEND_REJECTED'],
    [400, 'BACKEND_REJECTED'],
    [401, 'BACKEND_UNAUTHORIZED'],
    [403, 'BACKEND_UNAUTHORIZED'],
    [404, 'BACKEND_REJECTED'],
    [408, 'BACKEND_TIMEOUT'],
    [409, 'BACKEND_REJECTED'],
    [422, 'BACKEND_REJECTED'],
    [429, 'BACKEND_RATE_LIMITED'],
    [500, 'BACKEND_ERROR'],
    [501, 'BACKEND_REJECTED'],
    [502, 'BACKEND_UNAVAILABLE'],
    [503, 'BACKEND_UNAVAILABLE'],
    [504, 'BACKEND_TIMEOUT'],
    [507, 'BACKEND_ERROR'],
    [529, 'BACKEND_OVERLOADED'],
  ])('%i is %s', async (status, code) => {
    server.gives(status, status === 304 ? '' : 'no');
    await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(`HTTP ${status}`) });
    expect(server.received).toHaveLength(1);
  });

  it('hears how long the server asks to wait', async () => {
    server.gives(503, '', { 'retry-after': '3' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_OVERLOADED', details: { retryAfterMs: 3_000 } });
    server.gives(429, '', { 'retry-after-ms': '40' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_RATE_LIMITED', details: { retryAfterMs: 40 } });
  });
});

describe('redirects', () => {
  it.each([301, 302, 303, 307, 308])('follows %i of a GET on the same origin', async (status) => {
    server.answer = (response, { url }) =>
      void (url === '/x' ? response.writeHead(status, { location: 'y?z=1' }).end() : response.end('1'));
    expect((await call()).output).toEqual({ status: 200, body: 1 });
    expect(server.received.map(({ url }) => url)).toEqual(['/x', '/y?z=1']);
  });

  it.each([307, 308])('sends a POST again after %i', async (status) => {
    server.answer = (response, { url }) =>
      void (url === '/x' ? response.writeHead(status, { location: '/y' }).end() : response.end('1'));
    await call({ method: 'POST' }, { body: [1] }, { idempotencyKey: 'k' });
    expect(server.received.map(({ method, url, body }) => `${method} ${url} ${body}`)).toEqual([
      'POST /x [1]',
      'POST /y [1]',
    ]);
    expect(server.received[1]?.headers['idempotency-key']).toBe('k');
  });

  it.each([301, 302, 303])('does not make another call of a POST after %i', async (status) => {
    server.gives(status, '', { location: '/y' });
    await expect(call({ method: 'POST' })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(server.received).toHaveLength(1);
  });

  it('does not go to another origin', async () => {
    const elsewhere = server.url.replace('127.0.0.1', 'localhost');
    server.gives(302, '', { location: `${elsewhere}/y` });
    await expect(call()).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: `weather at ${server.url}: it redirects to ${elsewhere}, another origin, which is not followed`,
    });
    expect(server.received).toHaveLength(1);
  });

  it('does not go to an address with a user', async () => {
    server.gives(302, '', { location: `${server.url.replace('http://', 'http://user:pass-of-it@')}/y` });
    await expect(call()).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.not.stringContaining('pass-of-it'),
    });
    expect(server.received).toHaveLength(1);
  });

  it('gives up on a loop, and on what is no address', async () => {
    server.gives(302, '', { location: '/x' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(server.received).toHaveLength(6);
    server.gives(302, '', { location: 'http://[' });
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    server.gives(302, '');
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  });
});

describe('the probe', () => {
  const probe = (url = server.url) => httpConnector().connect(url).probe('weather', 'http', limit());

  it.each([200, 302, 404, 405, 500])('takes %i for a sign of life, and follows nothing', async (status) => {
    server.gives(status, '', { location: 'http://127.0.0.1:9/' });
    await probe();
    expect(server.received.map(({ method, url }) => `${method} ${url}`)).toEqual(['HEAD /']);
  });

  it('asks below the path of the endpoint', async () => {
    server.gives(200, '');
    await probe(`${server.url}/api/v1/`);
    expect(server.received[0]?.url).toBe('/api/v1/');
  });

  it('fails where nothing listens', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expect(probe(endpoint)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { endpoint } });
  });
});

describe('no answer', () => {
  it('a host that has no address is BACKEND_UNAVAILABLE', async () => {
    await expect(call({}, {}, {}, 'http://no-such-host.invalid')).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });

  it('a server that hangs up is BACKEND_UNAVAILABLE', async () => {
    server.answer = (response) => void response.destroy();
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(server.received).toHaveLength(1);
  });

  it('ends with the caller’s reason when aborted, and closes the connection', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const closed = new Promise<void>((resolve) => {
      server.answer = (response) => {
        response.once('close', resolve);
        setTimeout(() => controller.abort(reason), 50);
      };
    });
    await expect(call({}, {}, { signal: controller.signal })).rejects.toBe(reason);
    await closed;
  });
});
