import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ApiKey, Authenticator, issueKey, type KeyRing, keyRing } from '../../../../gateway/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const issue = (of: Partial<ApiKey> = {}) =>
  issueKey({ name: 'test', tenant: 'acme', permissions: ['run', 'read'], ...of });

const lines: string[] = [];
beforeEach(() => {
  lines.length = 0;
});
const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });

async function guarded(keys: KeyRing): Promise<TestGateway['app']> {
  gateway = await testGateway({}, { authenticator: new Authenticator({ by: 'key', keys }, logger), logger });
  return gateway.app;
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

test('without a valid key there is nothing but health, not even the news that a route is not there', async () => {
  const expired = issue({ expiresAt: '2020-01-01T00:00:00.000Z' });
  const revoked = issue({ revokedAt: '2020-01-01T00:00:00.000Z' });
  const app = await guarded(keyRing([expired.key, revoked.key]));
  for (const url of ['/v1/pipelines', '/v1/runs/listen-1', '/metrics', '/v1/nothing', '/v1/runs/a/artifacts/b']) {
    const response = await app.inject({ url });
    expect([url, response.statusCode, response.json().code]).toEqual([url, 401, 'UNAUTHENTICATED']);
    expect(response.headers['www-authenticate']).toBe('Bearer realm="millrace"');
  }
  for (const headers of [
    bearer(expired.secret),
    bearer(revoked.secret),
    bearer('millrace_wrong'),
    bearer('x'.repeat(5_000)),
    { authorization: `Basic ${expired.secret}` },
    { authorization: 'Bearer' },
    { 'x-api-key': 'wrong' },
  ])
    expect((await app.inject({ url: '/v1/pipelines', headers })).statusCode).toBe(401);
  for (const url of ['/healthz', '/readyz']) expect((await app.inject({ url })).statusCode).toBe(200);
  expect(lines.join('')).not.toMatch(/millrace_|xxxx/);
});

test('a key says whose the run is; the header may only repeat it', async () => {
  const { secret, key } = issue();
  const app = await guarded(keyRing([key]));
  const start = (headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', headers, payload: { name: 'Ada' } });
  const started = await start({ 'x-api-key': secret });
  expect(started.statusCode).toBe(202);
  expect(started.json().tenant).toBe('acme');
  expect((await start({ ...bearer(secret), 'millrace-tenant': 'acme' })).statusCode).toBe(202);
  const other = await start({ ...bearer(secret), 'millrace-tenant': 'other' });
  expect([other.statusCode, other.json().code, other.json().errors[0].field]).toEqual([
    403,
    'FORBIDDEN',
    'Millrace-Tenant',
  ]);
  const line = lines.map((text) => JSON.parse(text)).find(({ status }) => status === 202);
  expect(line).toMatchObject({ tenant: 'acme', key: key.id });
  expect(lines.join('')).not.toContain(secret);
});

test('a key for some pipelines sees no others, nor their runs', async () => {
  const all = issue();
  const one = issue({ pipelines: ['greet'] });
  const app = await guarded(keyRing([all.key, one.key]));
  const get = async (url: string, secret: string) => (await app.inject({ url, headers: bearer(secret) })).json();
  const names = async (secret: string) =>
    (await get('/v1/pipelines', secret)).pipelines.map(({ name }: { name: string }) => name);
  expect(await names(all.secret)).toEqual(['listen', 'compare', 'greet']);
  expect(await names(one.secret)).toEqual(['greet']);
  const refused = await get('/v1/pipelines/listen', one.secret);
  const unknown = await get('/v1/pipelines/nothing', one.secret);
  expect(refused.code).toBe('PIPELINE_NOT_FOUND');
  expect(refused.detail).toBe(unknown.detail.replace('nothing', 'listen'));
  const run = (
    await app.inject({
      method: 'POST',
      url: '/v1/pipelines/listen/runs',
      headers: { ...bearer(one.secret), 'content-type': 'audio/wav' },
      payload: Buffer.from('RIFF'),
    })
  ).json();
  expect(run.code).toBe('PIPELINE_NOT_FOUND');
  const greeted = (
    await app.inject({
      method: 'POST',
      url: '/v1/pipelines/greet/runs',
      headers: bearer(all.secret),
      payload: { name: 'Ada' },
    })
  ).json();
  expect((await get(`/v1/runs/${greeted.id}`, one.secret)).id).toBe(greeted.id);
  const elsewhere = issue({ pipelines: ['compare'] });
  await gateway?.close();
  gateway = undefined;
  const again = await guarded(keyRing([elsewhere.key, all.key]));
  const { id } = (
    await again.inject({
      method: 'POST',
      url: '/v1/pipelines/greet/runs',
      headers: bearer(all.secret),
      payload: { name: 'Ada' },
    })
  ).json();
  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/events'],
    ['POST', '/cancel'],
    ['GET', '/artifacts/name'],
  ] as const) {
    const response = await again.inject({ method, url: `/v1/runs/${id}${path}`, headers: bearer(elsewhere.secret) });
    expect([path, response.json().code]).toEqual([path, 'RUN_NOT_FOUND']);
  }
});

test('a key may do what its permissions say', async () => {
  const reader = issue({ permissions: ['read'] });
  const agent = issue();
  const scraper = issue({ permissions: ['metrics'] });
  const app = await guarded(keyRing([reader.key, agent.key, scraper.key]));
  const status = async (method: 'GET' | 'POST', url: string, { secret }: { secret: string }) =>
    (await app.inject({ method, url, headers: bearer(secret), ...(method === 'POST' && { payload: { name: 'Ada' } }) }))
      .statusCode;
  expect(await status('GET', '/v1/pipelines', reader)).toBe(200);
  expect(await status('POST', '/v1/pipelines/greet/runs', reader)).toBe(403);
  expect(await status('POST', '/v1/runs/greet-1/approve', agent)).toBe(403);
  expect(await status('GET', '/metrics', agent)).toBe(403);
  expect(await status('GET', '/metrics', scraper)).toBe(200);
  expect(await status('GET', '/v1/pipelines', scraper)).toBe(403);
});

describe('wrong keys', () => {
  test('of one address are limited and fall silent in the log, and right keys go on', async () => {
    const { secret, key } = issue();
    const app = await guarded(keyRing([key]));
    const ask = (remoteAddress: string, shown: string) =>
      app.inject({ url: '/v1/pipelines', headers: bearer(shown), remoteAddress });
    const codes: number[] = [];
    for (let i = 0; i < 200; i++) codes.push((await ask('10.0.0.1', `millrace_guess-${i}`)).statusCode);
    expect(codes).toEqual([...Array(20).fill(401), ...Array(180).fill(429)]);
    expect(Number((await ask('10.0.0.1', 'no')).headers['retry-after'])).toBeGreaterThan(50);
    expect((await ask('10.0.0.1', secret)).statusCode).toBe(200);
    expect((await ask('10.0.0.2', 'no')).statusCode).toBe(401);
    expect(lines.length).toBeLessThan(30);
    expect(lines.join('')).not.toContain('guess');
    expect(lines.filter((line) => line.includes('too many requests without a valid key'))).toHaveLength(1);
  });

  test('of one IPv6 network count together', async () => {
    const app = await guarded(keyRing([]));
    const ask = async (remoteAddress: string) => (await app.inject({ url: '/v1/pipelines', remoteAddress })).statusCode;
    for (let i = 0; i < 20; i++) expect(await ask(`2001:db8:1:2::${i}`)).toBe(401);
    expect(await ask('2001:db8:1:2:ffff::1')).toBe(429);
    expect(await ask('2001:db8:1:3::1')).toBe(401);
    expect(await ask('2001:db8::1')).toBe(401);
  });
});

test('several keys of a tenant are valid at once, each to its end', () => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const old = issue({ expiresAt: '2026-01-02T00:00:00.000Z' });
  const next = issue();
  const ring = keyRing([old.key, next.key], () => now);
  expect(ring.find(old.secret)?.id).toBe(old.key.id);
  expect(ring.find(next.secret)?.id).toBe(next.key.id);
  now = Date.parse('2026-01-02T00:00:00Z');
  expect(ring.find(old.secret)).toBeUndefined();
  expect(ring.find(next.secret)?.id).toBe(next.key.id);
  expect(JSON.stringify([old.key, next.key])).not.toContain('millrace_');
});
