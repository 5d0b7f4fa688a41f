import { afterEach, expect, test, vi } from 'vitest';
import type { GatewayParts } from '../../../../gateway/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { compare, greet, listen, type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
afterEach(async () => {
  vi.useRealTimers();
  await gateway.close();
});

const start = async (change: Partial<GatewayParts> = {}) => {
  gateway = await testGateway({}, change);
};
const send = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string) => gateway.app.inject({ method, url });
const works = async () => {};
const fails = async () => {
  throw new MillraceError('STORE_UNAVAILABLE', 'no disk');
};

test('pipelines are listed with their schemas', async () => {
  await start();
  const { pipelines } = (await send('GET', '/v1/pipelines')).json();
  expect(pipelines.map((each: { name: string }) => each.name)).toEqual([listen.name, compare.name, greet.name]);
  const one = await send('GET', '/v1/pipelines/listen');
  expect(one.json()).toEqual(pipelines[0]);
  expect(one.json()).toMatchObject({
    name: 'listen',
    version: listen.plan.version,
    description: 'Says what it heard',
    input: {
      type: 'object',
      required: ['speech'],
      properties: { speech: { media: 'audio' } },
      additionalProperties: false,
    },
    output: { type: 'object', properties: { text: { type: 'string' }, heard: { media: 'audio' } } },
  });
  const none = await send('GET', '/v1/pipelines/nope');
  expect(none.json()).toMatchObject({ status: 404, code: 'PIPELINE_NOT_FOUND' });
});

test('health is that of the process alone', async () => {
  await start({ readiness: { temporal: { critical: true, check: fails } } });
  for (const [url, status] of [
    ['/healthz', 200],
    ['/readyz', 503],
  ] as const) {
    const { statusCode } = await gateway.app.inject({ method: 'HEAD', url });
    expect([url, statusCode]).toEqual([url, status]);
  }
  expect((await send('GET', '/healthz')).json()).toEqual({ status: 'ok' });
});

test.each([
  ['ready', 200, works, works],
  ['degraded', 200, works, fails],
  ['unavailable', 503, fails, works],
] as const)('readiness: %s', async (status, code, critical, other) => {
  await start({
    readiness: { temporal: { critical: true, check: critical }, redis: { critical: false, check: other } },
  });
  const response = await send('GET', '/readyz');
  expect(response.statusCode).toBe(code);
  expect(response.json()).toMatchObject({
    status,
    checks: { temporal: { critical: true }, redis: { critical: false } },
  });
});

test('one look is told to all who ask within a second, with what is missing', async () => {
  // However long the machine takes for all of them.
  vi.useFakeTimers({ toFake: ['performance'] });
  let checks = 0;
  const check = async () => {
    checks++;
    throw new MillraceError('BACKEND_UNAVAILABLE', 'no worker polls');
  };
  await start({ readiness: { temporal: { critical: true, check: works }, workers: { critical: false, check } } });
  const responses = await Promise.all(Array.from({ length: 200 }, () => send('GET', '/readyz')));
  expect((await send('GET', '/v2/health/ready')).statusCode).toBe(200);
  expect(checks).toBe(1);
  expect(responses[0]?.json()).toMatchObject({
    status: 'degraded',
    degraded: [{ part: 'workers', message: 'no worker polls' }],
  });
  vi.advanceTimersByTime(1_050);
  await send('GET', '/readyz');
  expect(checks).toBe(2);
});

test('a part that hangs is not ready, and a stranger’s message is not shown', async () => {
  const strange = async () => {
    throw new Error('/etc/secret');
  };
  await start({
    readiness: {
      slow: { critical: false, check: () => new Promise(() => {}) },
      strange: { critical: false, check: strange },
      known: { critical: false, check: fails },
    },
  });
  const response = await send('GET', '/readyz');
  expect(response.json().checks).toMatchObject({
    slow: { status: 'failed', error: 'no answer within 2000 ms' },
    strange: { status: 'failed', error: 'failed' },
    known: { status: 'failed', error: 'no disk' },
  });
});

test('requests are measured by route, not by path', async () => {
  await start();
  for (const url of ['/v1/runs/a-1', '/v1/runs/a-2', '/nowhere/1', '/healthz']) await send('GET', url);
  const metrics = await send('GET', '/metrics');
  expect(metrics.headers['content-type']).toContain('text/plain');
  expect(metrics.body).toContain(
    'millrace_http_request_seconds_count{route="/v1/runs/:id",method="GET",status="404"} 2',
  );
  expect(metrics.body).toContain('route="unmatched",method="GET",status="404"} 1');
  expect(metrics.body).toContain('route="/healthz",method="GET",status="200"} 1');
  expect(metrics.body).not.toContain('a-1');
});

test('each request writes one line with what it was about', async () => {
  await start();
  const response = await gateway.app.inject({
    method: 'GET',
    url: '/v1/runs/listen-1?x=secret',
    headers: { 'millrace-tenant': 'acme' },
  });
  expect(gateway.lines).toHaveLength(1);
  expect(gateway.lines[0]).toMatchObject({
    requestId: response.json().requestId,
    method: 'GET',
    path: '/v1/runs/listen-1',
    status: 404,
    tenant: 'acme',
    runId: 'listen-1',
    code: 'RUN_NOT_FOUND',
    ms: expect.any(Number),
  });
  expect(response.headers['x-request-id']).toBe(response.json().requestId);
  expect(JSON.stringify(gateway.lines)).not.toContain('secret');
});

test('an error inside is a problem body that tells nothing, and a log line that tells all', async () => {
  await start({
    placementOf: () => {
      throw new TypeError('cannot read /srv/secret.json');
    },
  });
  const response = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    headers: { 'content-type': 'application/json' },
    payload: '{"name":"x"}',
  });
  expect(response.statusCode).toBe(500);
  expect(response.json()).toMatchObject({ code: 'INTERNAL', title: 'An internal error of Millrace.' });
  expect(response.body).not.toMatch(/secret|\.ts/);
  expect(JSON.stringify(gateway.lines)).toContain('/srv/secret.json');
});

test('unknown routes and methods', async () => {
  await start();
  const unknown = await send('GET', '/v3/pipelines?key=1');
  expect(unknown.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(unknown.json()).toEqual({
    type: 'urn:millrace:error:ROUTE_NOT_FOUND',
    title: 'No route has this method and path.',
    status: 404,
    detail: 'no route matches /v3/pipelines',
    code: 'ROUTE_NOT_FOUND',
    instance: '/v3/pipelines',
    requestId: expect.any(String),
  });
  const wrong = await send('PUT', '/v1/runs/listen-1');
  expect(wrong.headers.allow).toBe('GET, DELETE');
  expect(wrong.json()).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED', errors: [{ field: 'method' }] });
  expect((await send('GET', '/v1/pipelines/listen/runs')).headers.allow).toBe('POST');
  expect((await send('PUT', '/v1/runs/a/artifacts/b')).headers.allow).toBe('GET, HEAD');
  expect((await send('GET', '/v1/runs/%E0%A4%A')).json()).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' });
  const long = `/v1/runs/${'a'.repeat(300)}`;
  expect((await send('GET', long)).json()).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' });
  expect((await send('POST', '/')).statusCode).toBe(405);
});

test('a session of the caller is erased, and only one of a pipeline that it may use', async () => {
  const erased: unknown[] = [];
  const sessions = {
    load: async () => ({ messages: [], parts: 0 }),
    add: async () => undefined,
    erase: async (name: unknown) => erased.push(name) > 0,
  };
  await start({ sessions });
  const name = encodeURIComponent('visit 1/2');
  expect((await send('DELETE', `/v1/pipelines/greet/sessions/${name}`)).statusCode).toBe(204);
  const headers = { 'millrace-tenant': 'acme', 'millrace-user': 'eve' };
  const url = '/v1/pipelines/greet/sessions/s';
  expect((await gateway.app.inject({ method: 'DELETE', url, headers })).statusCode).toBe(204);
  const missing = await send('DELETE', '/v1/pipelines/nope/sessions/s');
  expect([missing.statusCode, missing.json().code]).toEqual([404, 'PIPELINE_NOT_FOUND']);
  expect(erased).toMatchObject([
    { tenant: 'default', of: 'greet', session: 'visit 1/2' },
    { tenant: 'acme', session: 's' },
  ]);
  await gateway.close();
  await start({ sessions: undefined as never });
  expect((await send('DELETE', url)).json().code).toBe('STORE_UNAVAILABLE');
});

test('what is remembered of a user is listed and erased, for the caller alone', async () => {
  const asked: unknown[] = [];
  const known = [{ id: 3, text: 'Likes tea.', at: Date.parse('2026-01-02T03:04:05Z') }];
  const facts = {
    list: async (name: { readonly tenant: string }) => (name.tenant === 'acme' ? [] : known),
    remove: async (name: unknown, id: number) => asked.push({ ...(name as object), id }) > 0,
    erase: async (name: unknown) => asked.push(name) > 0,
  };
  await start({ facts });
  const url = `/v1/pipelines/greet/memory/${encodeURIComponent('ada/1')}`;
  const listed = await send('GET', url);
  expect(listed.json()).toEqual({ facts: [{ id: 3, text: 'Likes tea.', at: '2026-01-02T03:04:05.000Z' }] });
  const headers = { 'millrace-tenant': 'acme', 'millrace-user': 'eve' };
  expect((await gateway.app.inject({ method: 'GET', url, headers })).json()).toEqual({ facts: [] });
  expect((await send('DELETE', `${url}/3`)).statusCode).toBe(204);
  expect((await send('DELETE', url)).statusCode).toBe(204);
  expect((await gateway.app.inject({ method: 'DELETE', url, headers })).statusCode).toBe(204);
  expect(asked).toMatchObject([
    { tenant: 'default', of: 'greet', user: 'ada/1', id: 3 },
    { tenant: 'default', of: 'greet', user: 'ada/1' },
    { tenant: 'acme', user: 'ada/1' },
  ]);
  for (const wrong of ['0', '-1', '1.5', 'x', '9'.repeat(20)]) {
    const refused = (await send('DELETE', `${url}/${wrong}`)).json();
    expect(refused).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'fact' }] });
  }
  const long = (await send('GET', `/v1/pipelines/greet/memory/${'u'.repeat(201)}`)).json();
  expect(long).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'user' }] });
  const missing = await send('GET', '/v1/pipelines/nope/memory/ada');
  expect([missing.statusCode, missing.json().code]).toEqual([404, 'PIPELINE_NOT_FOUND']);
});
