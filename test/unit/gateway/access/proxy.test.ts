import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const logger = pino({ level: 'silent' });
const SECRET = 'a-secret-of-the-proxy-with-32-characters';
const NEXT = 'the-secret-that-takes-its-place-some-day';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

async function behindProxy(): Promise<(headers: Record<string, string>) => Promise<string>> {
  const authenticator = new Authenticator({ by: 'proxy', secrets: [SECRET, NEXT] }, logger);
  gateway = await testGateway({}, { authenticator, logger });
  const { app } = gateway;
  return async (headers) => {
    const response = await app.inject({ url: '/v1/pipelines', headers });
    const { code, errors } = response.json();
    return [response.statusCode, code, errors?.[0]?.field].filter(Boolean).join(' ');
  };
}

const shown = { 'millrace-proxy-secret': SECRET };

test('a caller that the proxy has not named is nobody, not the default tenant', async () => {
  const ask = await behindProxy();
  expect(await ask({ ...shown, 'millrace-tenant': 'acme' })).toBe('200');
  expect(await ask({ ...shown, 'millrace-proxy-secret': NEXT, 'millrace-tenant': 'acme' })).toBe('200');
  expect(await ask(shown)).toBe('401 UNAUTHENTICATED Millrace-Tenant');
  for (const tenant of ['default', 'millrace'])
    expect(await ask({ ...shown, 'millrace-tenant': tenant })).toBe('403 FORBIDDEN Millrace-Tenant');
  for (const tenant of ['', '../etc', 'Acme', 'acme, other', 'a'.repeat(64)])
    expect(await ask({ ...shown, 'millrace-tenant': tenant })).toBe('400 INVALID_HEADER Millrace-Tenant');
  expect(await ask({ ...shown, 'millrace-tenant': 'acme', 'millrace-user': 'a b' })).toBe(
    '400 INVALID_HEADER Millrace-User',
  );
});

test('a caller may do what the proxy says, and without that everything but read the metrics of all tenants', async () => {
  await behindProxy();
  const ask = async (method: 'GET' | 'POST', url: string, permissions?: string) => {
    const named = permissions !== undefined && { 'millrace-permissions': permissions };
    const headers = { ...shown, 'millrace-tenant': 'acme', ...named };
    const response = await gateway?.app.inject({
      method,
      url,
      headers,
      ...(method === 'POST' && { payload: { nonce: 'n' } }),
    });
    return response?.statusCode === 200 ? '200' : `${response?.statusCode} ${response?.json().errors?.[0]?.field}`;
  };
  const approve = '/v1/runs/greet-1/approve';
  expect(await ask('GET', '/metrics')).toBe('403 Millrace-Permissions');
  expect(await ask('POST', approve)).toBe('404 id');
  expect(await ask('GET', '/metrics', 'metrics')).toBe('200');
  expect(await ask('GET', '/v1/pipelines', 'metrics')).toBe('403 Millrace-Permissions');
  expect(await ask('POST', approve, 'run,read')).toBe('403 Millrace-Permissions');
  expect(await ask('GET', '/v1/pipelines', 'run,read')).toBe('200');
  // As two headers arrive too.
  for (const wrong of ['', 'read,', 'metrics, run,read', 'Read', 'read run', 'all'])
    expect(await ask('GET', '/v1/pipelines', wrong)).toBe('400 Millrace-Permissions');
});

test('who does not show the secret is not the proxy', async () => {
  const ask = await behindProxy();
  for (const secret of [undefined, '', SECRET.slice(1), `${SECRET}x`, SECRET.toUpperCase()]) {
    const headers = { 'millrace-tenant': 'acme', ...(secret !== undefined && { 'millrace-proxy-secret': secret }) };
    expect(await ask(headers)).toBe('401 UNAUTHENTICATED Millrace-Proxy-Secret');
  }
  for (let i = 0; i < 20; i++) await ask({ 'millrace-tenant': 'acme' });
  expect(await ask({ 'millrace-tenant': 'acme' })).toBe('429 RATE_LIMITED');
  expect(await ask({ ...shown, 'millrace-tenant': 'acme' })).toBe('200');
});

test('a conversation is of its pipeline and of the key, the keys of one owner, or the user that has asked', async () => {
  const issue = (owner?: string) =>
    issueKey({ name: '', tenant: 'acme', permissions: ['run'], ...(owner !== undefined && { owner }) });
  const [first, second, shop] = [issue(), issue(), issue('web-shop')];
  const rotated = issue(first.key.id);
  const keys = keyRing([first, second, shop, rotated].map(({ key }) => key));
  const scopeOf = async (authenticator: Authenticator, headers: Record<string, string>) => {
    gateway = await testGateway({}, { authenticator, logger });
    await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', headers, payload: { name: 'Ada' } });
    const { sessionsOf } = gateway.temporal.only().options.args[1];
    await gateway.close();
    gateway = undefined;
    return sessionsOf;
  };
  const byKey = ({ secret }: { secret: string }) =>
    scopeOf(new Authenticator({ by: 'key', keys }, logger), { 'x-api-key': secret, 'millrace-user': 'ada' });
  expect(await byKey(first)).toBe(`greet/key:${first.key.id}`);
  expect(await byKey(second)).toBe(`greet/key:${second.key.id}`);
  expect(await byKey(shop)).toBe('greet/key:web-shop');
  expect(await byKey(rotated)).toBe(`greet/key:${first.key.id}`);
  const proxy = new Authenticator({ by: 'proxy', secrets: [SECRET] }, logger);
  expect(await scopeOf(proxy, { ...shown, 'millrace-tenant': 'acme', 'millrace-user': 'ada' })).toBe('greet/user:ada');
  expect(await scopeOf(proxy, { ...shown, 'millrace-tenant': 'acme' })).toBeUndefined();
  const anybody = new Authenticator({ by: 'loopback' }, logger);
  expect(await scopeOf(anybody, { 'millrace-user': 'ada' })).toBeUndefined();
});
