import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** What is there for everybody. A route that is added to these is a decision, not a slip. */
const PUBLIC = [
  'GET /explorer',
  'GET /healthz',
  'GET /readyz',
  'GET /v2/health/live',
  'GET /v2/health/ready',
  'HEAD /healthz',
  'HEAD /readyz',
];

/** Without permissions: who shows this key is known, and may do nothing. */
const { secret, key } = issueKey({ name: 'test', tenant: 'acme', permissions: [] });

let gateway: TestGateway;
beforeEach(async () => {
  const access = { by: 'key', keys: keyRing([key]) } as const;
  gateway = await testGateway({}, { authenticator: new Authenticator(access, pino({ level: 'silent' })) });
});
afterEach(() => gateway.close());

interface Operation {
  readonly security?: readonly object[];
  readonly requestBody?: { readonly content: Record<string, unknown> };
}

test('every route of the document but those it declares public needs a key', async () => {
  const { paths } = await theDocument();
  const open: string[] = [];
  let requests = 0;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { security, requestBody }] of Object.entries(methods)) {
      const name = `${method.toUpperCase()} ${path}`;
      if (security?.length === 0) open.push(name);
      const [type] = Object.keys(requestBody?.content ?? {});
      const ask = (headers: Record<string, string>) =>
        gateway.app.inject({
          method: method.toUpperCase() as 'GET',
          remoteAddress: `10.0.${Math.floor(requests / 250)}.${requests++ % 250}`, // an address may show few wrong keys
          url: path.replaceAll(/\{\w+\}/g, 'listen'),
          headers: { ...headers, ...(type !== undefined && { 'content-type': type.replace('*', 'wav') }) },
          ...(type !== undefined && { payload: '{}' }),
        });
      const { statusCode } = await ask({});
      if (PUBLIC.includes(name)) expect([200, 503], name).toContain(statusCode);
      else {
        expect([name, statusCode]).toEqual([name, 401]);
        // The same request is another one with a key: the 401 was about the key.
        expect((await ask({ 'x-api-key': secret })).statusCode, name).not.toBe(401);
        expect((await ask({ 'x-api-key': `${secret}0` })).statusCode, name).toBe(401);
      }
    }
  }
  expect(open.toSorted()).toEqual(PUBLIC);
});

/** As a key that may read sees it. */
async function theDocument(): Promise<{ paths: Record<string, Record<string, Operation>> }> {
  const reader = issueKey({ name: 'reader', tenant: 'acme', permissions: ['read'] });
  const access = { by: 'key', keys: keyRing([reader.key]) } as const;
  const other = await testGateway({}, { authenticator: new Authenticator(access, pino({ level: 'silent' })) });
  const answer = await other.app.inject({ url: '/openapi.json', headers: { 'x-api-key': reader.secret } });
  await other.close();
  return answer.json();
}
