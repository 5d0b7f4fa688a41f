import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { Authenticator, issueKey, keyRing, RequestRate } from '../../../../gateway/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

/** A gateway whose key may make five requests, and what it answers to a body. */
async function start() {
  const { secret, key } = issueKey({
    name: 'k',
    tenant: 'acme',
    permissions: ['run', 'read'],
    limits: { rate: { perSecond: 0.01, burst: 5 } },
  });
  const access = { by: 'key', keys: keyRing([key]) } as const;
  const authenticator = new Authenticator(access, pino({ level: 'silent' }), { requests: new RequestRate() });
  gateway = await testGateway({}, { authenticator });
  const { app, temporal } = gateway;
  temporal.onStart = (run) => run.end({ output: {}, stages: [] });
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/mcp',
      headers: { authorization: `Bearer ${secret}`, accept: 'application/json, text/event-stream', ...headers },
      payload: body as object,
    });
  return { post, temporal };
}

const call = (id: number) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'greet', arguments: { name: 'Ada' } },
});
const batch = (messages: number) => Array.from({ length: messages }, (_, i) => call(i));

it.each([
  ['an id', { id: 'x'.repeat(257) }, /id: must have at most 256 characters/],
  [
    'a token of its progress',
    { params: { ...call(1).params, _meta: { progressToken: 'x'.repeat(257) } } },
    /progressToken: must have at most 256 characters/,
  ],
])('a call with %s that each message of its stream would repeat is refused if that is long', async (_, more, why) => {
  const { post, temporal } = await start();
  const refused = await post({ ...call(1), ...more });
  expect([refused.statusCode, refused.json().error.message]).toEqual([422, expect.stringMatching(why)]);
  expect((await post([call(1), { ...call(2), ...more }])).statusCode).toBe(422);
  expect(temporal.runs.size).toBe(0);
});

it('more values than clients send are refused before they are read, but as the arguments of a tool', async () => {
  const { post } = await start();
  const many = Array(10_001).fill(1);
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: { experimental: { a: { many } } },
    clientInfo: { name: 'c', version: '1' },
  };
  const refused = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  expect([refused.statusCode, refused.json().error.message]).toEqual([
    422,
    expect.stringMatching(/body: has more than 10000 values/),
  ]);
  const called = await post({ ...call(1), params: { name: 'greet', arguments: { name: 'Ada', many } } });
  expect([called.statusCode, called.body]).toEqual([200, expect.stringContaining('many: unknown field')]);
});

it('each message of a batch counts as a request', async () => {
  const { post, temporal } = await start();
  expect((await post(batch(3))).statusCode).toBe(200);
  expect(temporal.runs.size).toBe(3);
  // Two are left: a batch that is too large for them starts nothing.
  const refused = await post(batch(3));
  expect([refused.statusCode, refused.json()]).toEqual([
    429,
    expect.objectContaining({
      jsonrpc: '2.0',
      error: expect.objectContaining({ message: expect.stringMatching(/^RATE_LIMITED: /) }),
    }),
  ]);
  expect(temporal.runs.size).toBe(3);
});

it('a batch of more messages than the key may ever send at once is wrong, and not to be tried again', async () => {
  const { post, temporal } = await start();
  const refused = await post(batch(6));
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([422, undefined]);
  expect(refused.json().error.message).toMatch(/batch of 6 messages, .* the key may make 5/);
  expect(temporal.runs.size).toBe(0);
  // It has cost one request, as any other.
  expect((await post(batch(4))).statusCode).toBe(200);
});

it.each([
  ['of more messages than are taken', 21, {}, /at most 20 messages/],
  ['in a version of the protocol that has none', 1, { 'mcp-protocol-version': '2025-06-18' }, /no batches/],
  [
    'with two calls of one id, whose responses nobody could tell apart',
    [call(1), call(2), call(1)],
    {},
    /ids of their own/,
  ],
])('a batch %s is refused whole', async (_, messages, headers, why) => {
  const { post, temporal } = await start();
  const refused = await post(typeof messages === 'number' ? batch(messages) : messages, headers);
  expect([refused.statusCode, refused.json().error.code]).toEqual([422, -32600]);
  expect(refused.json().error.message).toMatch(why);
  expect(temporal.runs.size).toBe(0);
});

it('calls whose ids are a number and its text are two', async () => {
  const { post, temporal } = await start();
  expect((await post([call(1), { ...call(1), id: '1' }])).statusCode).toBe(200);
  expect(temporal.runs.size).toBe(2);
});
