import { afterEach, expect, it } from 'vitest';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

const TOKEN = 'a'.repeat(43);
async function open(arrive: (token: string) => Promise<boolean>): Promise<TestGateway> {
  gateway = await testGateway({}, { callbacks: { arrive } });
  return gateway;
}

it('takes a call of a server at a known address, without a key, whatever it sends', async () => {
  const called: string[] = [];
  const { app } = await open(async (token) => {
    called.push(token);
    return token === TOKEN;
  });
  for (const [type, payload] of [
    ['application/json', '{"state":"done"}'],
    ['application/json', 'no JSON'],
    ['application/x-www-form-urlencoded', 'state=done'],
    ['application/octet-stream', Buffer.from([0, 255])],
    [undefined, undefined],
  ] as const) {
    const headers = type === undefined ? {} : { 'content-type': type };
    const answer = await app.inject({
      method: 'POST',
      url: `/v1/callbacks/${TOKEN}`,
      headers,
      ...(payload && { payload }),
    });
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
  }
  expect(called).toEqual(Array(5).fill(TOKEN));
});

it('knows no other address', async () => {
  const { app } = await open(async () => false);
  const answer = await app.inject({ method: 'POST', url: '/v1/callbacks/nope', payload: {} });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
});

it('answers 429 above a thousand calls to unknown addresses in a minute, without a log line; known ones are taken', async () => {
  const { app, lines } = await open(async (token) => token === TOKEN);
  const call = async (token: string, remoteAddress: string) => {
    const { statusCode } = await app.inject({ method: 'POST', url: `/v1/callbacks/${token}`, remoteAddress });
    return statusCode;
  };
  for (let i = 0; i < 1_000; i++) expect(await call('b'.repeat(43), '10.0.0.1')).toBe(404);
  for (const token of ['b'.repeat(43), 'nope']) expect(await call(token, '10.0.0.1')).toBe(429);
  // Servers behind one address do not lock each other out.
  expect(await call(TOKEN, '10.0.0.1')).toBe(204);
  expect(await call('nope', '10.0.0.2')).toBe(404);
  expect(lines.filter(({ status }) => status === 429)).toEqual([]);
});

it('logs no token, which stands for a key', async () => {
  const { app, lines } = await open(async (token) => token === TOKEN);
  const calls = [
    ['POST', `/v1/callbacks/${TOKEN}`],
    ['POST', `/v1/%63allbacks/${TOKEN}`],
    ['GET', `/v1/callbacks/${TOKEN}?state=done`],
    ['POST', `/v1/callbacks/${TOKEN}/`],
    // The path of MILLRACE_PUBLIC_URL, which the proxy in front has left in place.
    ['POST', `/ai/v1/callbacks/${TOKEN}`],
  ] as const;
  for (const [method, url] of calls) await app.inject({ method, url });
  await expect
    .poll(() => lines.map(({ path }) => path))
    .toEqual([...Array(4).fill('/v1/callbacks/:token'), '/ai/v1/callbacks/:token']);
  expect(JSON.stringify(lines)).not.toContain(TOKEN);
});

it('reads no more of a call than a mebibyte', async () => {
  const { app } = await open(async () => true);
  const payload = 'x'.repeat(1_024 * 1_024 + 1);
  const answer = await app.inject({ method: 'POST', url: `/v1/callbacks/${TOKEN}`, payload });
  expect(answer.statusCode).toBe(413);
});
