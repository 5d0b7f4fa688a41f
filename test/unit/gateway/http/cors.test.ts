import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Authenticator } from '../../../../gateway/index.js';
import { readSettings } from '../../../../workers/settings.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const PAGE = 'https://app.example';
const STRANGER = 'https://other.example';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** A listening gateway; requests as browsers send them. */
async function serve(corsOrigins?: readonly string[], keys = false) {
  const authenticator = new Authenticator({ by: 'key', keys: { find: () => undefined } }, pino({ level: 'silent' }));
  gateway = await testGateway({}, { corsOrigins, ...(keys && { authenticator }) });
  gateway.temporal.onStart = (run) => run.end({ output: {}, stages: [] });
  const at = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  return (path: string, origin: string, init: RequestInit = {}) =>
    fetch(`${at}${path}`, { ...init, headers: { origin, ...(init.headers as Record<string, string>) } });
}

const PREFLIGHT = {
  method: 'OPTIONS',
  headers: {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
  },
};
const headersOf = ({ headers }: Response) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control')));

test('a preflight of an allowed origin is answered before authentication, by every door', async () => {
  const ask = await serve([PAGE, 'http://localhost:5173'], true);
  for (const path of ['/v1/runs', '/v1/chat/completions', '/mcp', '/v2/models/p/infer', '/v1/pipelines/greet/runs']) {
    const response = await ask(path, PAGE, PREFLIGHT);
    expect(response.status).toBe(204);
    expect(headersOf(response)).toEqual({
      'access-control-allow-origin': PAGE,
      'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
      'access-control-allow-headers': 'authorization,content-type,x-stainless-lang',
      'access-control-max-age': '600',
    });
    expect(response.headers.get('vary')).toBe('Origin');
  }
  expect(gateway?.temporal.runs.size).toBe(0);
});

test('a request from an allowed origin needs its key, and the page can read the refusal', async () => {
  const ask = await serve([PAGE], true);
  const response = await ask('/v1/pipelines', PAGE);
  expect(response.status).toBe(401);
  expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
  expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
  expect(response.headers.has('access-control-allow-credentials')).toBe(false);
});

test('without keys an allowed origin is served, also with a stream and by the MCP door', async () => {
  const ask = await serve([PAGE]);
  const headers = { 'content-type': 'application/json' };
  const started = await ask('/v1/pipelines/greet/runs', PAGE, {
    method: 'POST',
    body: JSON.stringify({ name: 'Ada' }),
    headers,
  });
  expect([started.status, started.headers.get('access-control-allow-origin')]).toEqual([202, PAGE]);
  const { id } = (await started.json()) as { id: string };
  const events = await ask(`/v1/runs/${id}/events`, PAGE);
  expect(events.headers.get('content-type')).toBe('text/event-stream');
  expect(events.headers.get('access-control-allow-origin')).toBe(PAGE);
  await events.body?.cancel();
  const message = { jsonrpc: '2.0', id: 1, method: 'ping' };
  const accept = { ...headers, accept: 'application/json, text/event-stream' };
  const mcp = await ask('/mcp', PAGE, { method: 'POST', body: JSON.stringify(message), headers: accept });
  expect([mcp.status, mcp.headers.get('access-control-allow-origin')]).toEqual([200, PAGE]);
});

test.each([
  ['another origin', [PAGE]],
  ['any origin without the setting', undefined],
])('%s gets no permission', async (_, origins) => {
  const ask = await serve(origins, true);
  const preflight = await ask('/v1/runs', STRANGER, PREFLIGHT);
  expect(preflight.status).toBe(401);
  expect(headersOf(preflight)).toEqual({});
  expect(headersOf(await ask('/v1/pipelines', STRANGER))).toEqual({});
  await gateway?.close();
  const open = await serve(origins);
  expect((await open('/v1/pipelines', STRANGER)).status).toBe(403);
});

test('only names of headers are repeated to a preflight', async () => {
  const ask = await serve([PAGE]);
  for (const wanted of ['a b<c>', `x-${'y'.repeat(3_000)}`]) {
    const headers = { ...PREFLIGHT.headers, 'access-control-request-headers': wanted };
    expect(
      (await ask('/v1/runs', PAGE, { method: 'OPTIONS', headers })).headers.has('access-control-allow-headers'),
    ).toBe(false);
  }
});

test('a plain OPTIONS is not allowed, as without the setting', async () => {
  const ask = await serve([PAGE]);
  expect((await ask('/v1/runs', PAGE, { method: 'OPTIONS' })).status).toBe(405);
});

test.each([
  '*',
  'null',
  'app.example',
  'https://app.example/',
  'https://App.example',
  'https://a.example,*',
  'ftp://a.example',
])('the setting refuses %s', (value) => {
  expect(() => readSettings({ MILLRACE_CORS_ORIGINS: value })).toThrow(/MILLRACE_CORS_ORIGINS: must be origins/);
});

test('the setting takes exact origins, and is off by default', () => {
  const given = `${PAGE}, http://localhost:5173`;
  expect(readSettings({ MILLRACE_CORS_ORIGINS: given }).MILLRACE_CORS_ORIGINS).toEqual([PAGE, 'http://localhost:5173']);
  expect(readSettings({}).MILLRACE_CORS_ORIGINS).toBeUndefined();
});

test('a response that varies by other headers varies by the origin too: browsers keep it for a year', async () => {
  const ask = await serve([PAGE]);
  if (gateway) gateway.temporal.onStart = (run) => run.end({ output: {}, stages: [] });
  const started = await ask('/v1/pipelines/listen/runs', PAGE, {
    method: 'POST',
    headers: { 'content-type': 'audio/wav', prefer: 'wait=1' },
    body: new Uint8Array(wavFile({ seconds: 1 })),
  });
  const { id } = (await started.json()) as { id: string };
  const media = await ask(`/v1/runs/${id}/artifacts/input.speech`, PAGE);
  expect(media.status).toBe(200);
  await media.arrayBuffer();
  expect(media.headers.get('cache-control')).toContain('immutable');
  expect(media.headers.get('vary')?.split(', ')).toEqual(expect.arrayContaining(['authorization', 'Origin']));
});
