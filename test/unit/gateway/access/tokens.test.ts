import { createHash, createHmac } from 'node:crypto';
import { CompactSign } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing, type TokenRules, type Tokens } from '../../../../gateway/index.js';
import { OidcIssuer, pemOf, publicJwk, type SigningKey, sendJson, signingKey } from '../../../support/oidc-issuer.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { tokensOf } from '../../../support/tokens.js';
import { nonceOf } from '../../../support/waits.js';

const lines: string[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
const { secret, key } = issueKey({ name: 'desk', tenant: 'acme', permissions: ['read'] });
/** A key whose secret the operator has chosen. */
const chosen = { ...key, id: 'chosen', sha256: createHash('sha256').update('my-own-secret').digest('hex') };

let issuer: OidcIssuer;
/** A key that the issuer does not have. */
let foreign: SigningKey;
let rsa: SigningKey;
beforeAll(async () => {
  foreign = await signingKey('foreign');
  rsa = await signingKey('rsa', 'RS256');
});

let gateway: TestGateway | undefined;
let tokens: Tokens | undefined;
let askers = 0;
beforeEach(async () => {
  lines.length = 0;
  issuer = await OidcIssuer.start();
});
afterEach(async () => {
  tokens?.close();
  await gateway?.close();
  gateway = undefined;
  await issuer.close();
});

async function guarded(rules: Partial<TokenRules> = {}): Promise<TestGateway> {
  tokens = tokensOf(issuer, logger, rules);
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([key, chosen]), tokens }, logger);
  gateway = await testGateway({}, { authenticator, logger });
  return gateway;
}

/** Every request from an address of its own, unless one is given: an address may show few wrong tokens. */
async function ask(token: string, more: { headers?: Record<string, string>; url?: string; from?: string } = {}) {
  const { headers = {}, url = '/v1/pipelines', from = `10.0.${Math.floor(askers / 250)}.${askers++ % 250}` } = more;
  const response = await gateway?.app.inject({
    url,
    headers: { authorization: `Bearer ${token}`, ...headers },
    remoteAddress: from,
  });
  if (response === undefined) throw new Error('there is no gateway');
  return response;
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token put together by hand. */
const forged = (header: object, claims: unknown, sign: (input: string) => string = () => 'AAAA') => {
  const input = `${encoded(header)}.${encoded(claims)}`;
  return `${input}.${sign(input)}`;
};

test('a token of the provider opens what a key of its tenant would, beside keys', async () => {
  const { app } = await guarded();
  expect((await ask(await issuer.token())).statusCode).toBe(200);
  expect((await ask(secret)).statusCode).toBe(200);
  expect((await ask('my-own-secret')).statusCode).toBe(200);
  const started = await app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    headers: { authorization: `Bearer ${await issuer.token()}` },
    payload: { name: 'Ada' },
  });
  expect([started.statusCode, started.json().tenant]).toEqual([202, 'acme']);
  // The conversations of a run are its user's.
  expect(gateway?.temporal.only().options.args[1].sessionsOf).toBe('greet/user:ada');
  const other = await ask(await issuer.token(), { headers: { 'millrace-tenant': 'other' } });
  expect([other.statusCode, other.json().code]).toEqual([403, 'FORBIDDEN']);
  expect((await ask(await issuer.token(), { headers: { 'millrace-tenant': 'acme' } })).statusCode).toBe(200);
  // Tokens are bearers: a header for keys takes none.
  const misplaced = await app.inject({ url: '/v1/pipelines', headers: { 'x-api-key': await issuer.token() } });
  expect(misplaced.statusCode).toBe(401);
});

test.each(['RS256', 'PS256', 'ES384', 'EdDSA'] as const)('a signature may be %s', async (alg) => {
  issuer.keys = [await signingKey('other', alg)];
  await guarded();
  expect((await ask(await issuer.token())).statusCode).toBe(200);
});

test('types of access tokens are accepted, and none at all', async () => {
  await guarded();
  for (const typ of ['JWT', 'at+jwt', 'application/at+jwt', undefined]) {
    expect((await ask(await issuer.token({}, { header: { typ } }))).statusCode, String(typ)).toBe(200);
  }
  expect((await ask(await issuer.token({ typ: 'Bearer' }))).statusCode).toBe(200);
});

describe('a token that is not valid', () => {
  const soon = () => Math.floor(Date.now() / 1_000);
  const attacks: [name: string, make: () => string | Promise<string>, why: string][] = [
    ['is unsigned', () => forged({ alg: 'none', typ: 'JWT' }, issuer.claims(), () => ''), 'signed JWT'],
    ['says that it is unsigned', () => forged({ alg: 'none', kid: 'first' }, issuer.claims()), 'algorithm'],
    ['says so in other letters', () => forged({ alg: 'nOnE', kid: 'first' }, issuer.claims()), 'algorithm'],
    ['is for another audience', () => issuer.token({ aud: 'https://other.example' }), 'another audience'],
    ['is for others', () => issuer.token({ aud: ['https://other.example', 'account'] }), 'another audience'],
    ['is for nobody', () => issuer.token({ aud: undefined }), 'another audience'],
    ['is of another issuer', () => issuer.token({ iss: 'https://evil.example' }), 'another issuer'],
    ['is of an issuer with a slash', () => issuer.token({ iss: `${issuer.url}/` }), 'another issuer'],
    ['is of no issuer', () => issuer.token({ iss: undefined }), 'another issuer'],
    ['has expired', () => issuer.token({ exp: soon() - 60 }), 'has expired'],
    ['never expires', () => issuer.token({ exp: undefined }), 'when it expires'],
    ['expires at a text', () => issuer.token({ exp: '2099-01-01' }), 'when it expires'],
    ['is for later', () => issuer.token({ nbf: soon() + 600 }), 'not valid yet'],
    ['is of an unknown key', () => issuer.token({}, { key: foreign }), 'does not have'],
    ['names a known key', () => issuer.token({}, { key: foreign, header: { kid: 'first' } }), 'wrong signature'],
    ['is a refresh token', () => issuer.token({ typ: 'Refresh' }), 'no access token'],
    ['is an ID token', () => issuer.token({ typ: 'ID' }), 'no access token'],
    ['has the hash of another', () => issuer.token({ at_hash: 'x' }, { header: { typ: 'JWT' } }), 'no access token'],
    ['ends a session', () => issuer.token({}, { header: { typ: 'logout+jwt' } }), 'no access token'],
    ['is bound to a key', () => issuer.token({ cnf: { jkt: 'x' } }), 'cnf'],
    ['is encrypted', () => 'e30.e30.e30.e30.e30', 'signed JWT'],
    ['is no token', () => 'sk-1234', 'signed JWT'],
    ['has no header', () => `AAAA.${encoded(issuer.claims())}.AAAA`, 'no JWT'],
    ['has a header that must be understood', () => forged({ alg: 'ES256', crit: ['x'], x: 1 }, {}), 'no JWT'],
    ['is huge', () => issuer.token({ padding: 'x'.repeat(12_000) }), 'longer than 14336 characters'],
    ['tells of the end of a session', () => issuer.token({ events: { logout: {} } }), 'no access token'],
  ];
  test.each(attacks)('because it %s', async (_, make, why) => {
    await guarded();
    const token = await make();
    const response = await ask(token);
    expect([response.statusCode, response.json().code]).toEqual([401, 'UNAUTHENTICATED']);
    expect(response.json().detail).toContain(why);
    expect(response.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(lines.join('')).not.toContain(token.slice(0, 40));
  });

  test('because its claims were changed', async () => {
    await guarded();
    const [header, , signature] = (await issuer.token()).split('.');
    const changed = encoded({ ...issuer.claims(), tenant: 'other' });
    expect((await ask([header, changed, signature].join('.'))).json().detail).toContain('wrong signature');
  });

  test('because its payload is no object', async () => {
    await guarded();
    const { privateKey, kid } = issuer.keys[0] as SigningKey;
    const list = await new CompactSign(Buffer.from('[]')).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
    expect((await ask(list)).json().detail).toContain('no JWT');
  });

  test('because the provider’s public key was the secret that signed it', async () => {
    issuer.keys = [rsa];
    await guarded();
    const jwk = JSON.stringify(await publicJwk(rsa));
    for (const shared of [await pemOf(rsa), (await pemOf(rsa)).trim(), jwk]) {
      const sign = (input: string) => createHmac('sha256', shared).update(input).digest('base64url');
      const response = await ask(forged({ alg: 'HS256', kid: rsa.kid, typ: 'JWT' }, issuer.claims(), sign));
      expect([response.statusCode, response.json().detail]).toEqual([401, expect.stringContaining('algorithm')]);
    }
  });

  test('because the provider lists a shared secret', async () => {
    const shared = Buffer.alloc(32, 1);
    const oct = { kty: 'oct', kid: 'shared', alg: 'HS256', k: shared.toString('base64url') };
    issuer.instead.set('/keys', (response) => sendJson(response, { keys: [oct] }));
    await guarded();
    const sign = (input: string) => createHmac('sha256', shared).update(input).digest('base64url');
    expect((await ask(forged({ alg: 'HS256', kid: 'shared' }, issuer.claims(), sign))).statusCode).toBe(401);
  });

  test('because it brings its own key, which is not even looked for', async () => {
    const attacker = await OidcIssuer.start(foreign);
    await guarded();
    const own = { kid: 'foreign', jku: `${attacker.url}/keys`, x5u: `${attacker.url}/keys` };
    for (const header of [own, { ...own, kid: 'first' }, { ...own, jwk: await publicJwk(foreign) }])
      expect((await ask(await issuer.token({}, { key: foreign, header }))).statusCode).toBe(401);
    expect(attacker.asked).toEqual([]);
    await attacker.close();
  });

  test('is limited by address like wrong keys, and valid ones are served', async () => {
    await guarded();
    const from = '10.9.9.9';
    const wrong = await issuer.token({ aud: 'other' });
    const codes: number[] = [];
    for (let i = 0; i < 25; i++) codes.push((await ask(wrong, { from })).statusCode);
    expect(codes).toEqual([...Array(20).fill(401), ...Array(5).fill(429)]);
    expect((await ask(await issuer.token(), { from })).statusCode).toBe(200);
    expect((await ask(secret, { from })).statusCode).toBe(200);
  });
});

test.each([
  ['GET', '/v1/pipelines/greet'],
  ['GET', '/v1/models'],
  ['POST', '/v1/chat/completions'],
  ['POST', '/v1/responses'],
  ['POST', '/v1/messages'],
  ['GET', '/v2'],
  ['POST', '/v2/models/greet/infer'],
  ['POST', '/mcp'],
  ['POST', '/a2a/greet'],
  ['GET', '/a2a/greet/.well-known/agent-card.json'],
  ['POST', '/v1/agui/greet'],
] as const)('tokens are for every door: %s %s', async (method, url) => {
  const { app } = await guarded();
  const statusOf = async (token: string) =>
    (
      await app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream' },
        ...(method === 'POST' && { payload: {} }),
      })
    ).statusCode;
  expect(await statusOf(await issuer.token({ exp: 1 }))).toBe(401);
  expect(await statusOf(await issuer.token({ scope: '' }))).toBe(403);
  expect([401, 403, 503]).not.toContain(await statusOf(await issuer.token()));
});

test('clocks may differ by half a minute', async () => {
  await guarded();
  const now = Math.floor(Date.now() / 1_000);
  expect((await ask(await issuer.token({ exp: now - 5, nbf: now + 5 }))).statusCode).toBe(200);
});

describe('who a valid token is', () => {
  test.each([
    ['no tenant', { tenant: undefined }],
    ['an empty tenant', { tenant: '' }],
    ['the tenant of nobody', { tenant: 'default' }],
    ['the reserved tenant', { tenant: 'millrace' }],
    ['a tenant in other letters', { tenant: 'Acme' }],
    ['a path', { tenant: '../acme' }],
    ['two tenants', { tenant: ['acme', 'other'] }],
    ['a number', { tenant: 7 }],
    ['no user', { sub: undefined }],
    ['a user with a line break', { sub: 'ada\nbob' }],
    ['a user without end', { sub: 'a'.repeat(256) }],
  ])('is nobody with %s', async (_, claims) => {
    await guarded();
    const response = await ask(await issuer.token(claims));
    expect([response.statusCode, response.json().code]).toEqual([403, 'FORBIDDEN']);
    // Another token of the kind would not help.
    expect(response.headers['www-authenticate']).toBeUndefined();
  });

  test('is of the tenant that the settings name for all, whatever its claims', async () => {
    await guarded({ tenant: 'acme' });
    for (const tenant of [undefined, 'other']) {
      const token = await issuer.token({ tenant });
      expect((await ask(token, { headers: { 'millrace-tenant': 'acme' } })).statusCode).toBe(200);
    }
  });

  test.each([
    ['a path', 'realm.customer', { realm: { customer: 'acme' } }],
    ['a name that is a URL', 'https://acme.example/tenant', { 'https://acme.example/tenant': 'acme' }],
    ['a path through a name with dots', 'access.my.app.org', { access: { 'my.app': { org: 'acme' } } }],
    ['a list of one', 'organization', { organization: ['acme'] }],
  ])('is of the tenant in %s', async (_, tenantClaim, claims) => {
    await guarded({ tenantClaim });
    const token = await issuer.token({ tenant: undefined, ...claims });
    expect((await ask(token, { headers: { 'millrace-tenant': 'acme' } })).statusCode).toBe(200);
    expect((await ask(await issuer.token({ tenant: 'acme' }))).statusCode).toBe(403);
  });

  test('is told by claims of the token, never by what all objects have', async () => {
    await guarded({ tenantClaim: 'constructor.name' });
    expect((await ask(await issuer.token({}))).statusCode).toBe(403);
  });

  test('may use the pipelines of its claim, where one is named', async () => {
    await guarded({ pipelinesClaim: 'pipelines' });
    const names = async (pipelines: unknown) => {
      const response = await ask(await issuer.token({ pipelines }));
      return response.json().pipelines?.map(({ name }: { name: string }) => name) ?? response.statusCode;
    };
    expect(await names(['greet', 'listen'])).toEqual(['listen', 'greet']);
    expect(await names('greet')).toEqual(['greet']);
    expect(await names([])).toEqual([]);
    expect(await names(undefined)).toBe(403);
    expect(await names({ greet: true })).toBe(403);
    const listen = await ask(await issuer.token({ pipelines: ['greet'] }), { url: '/v1/pipelines/listen' });
    expect(listen.statusCode).toBe(404);
  });
});

describe('what a token may do', () => {
  const may = async (claims: object, url = '/v1/pipelines') =>
    (await ask(await issuer.token({ ...claims }), { url })).statusCode;

  test('is in its scope, in the words of the provider', async () => {
    await guarded();
    for (const claims of [
      { scope: 'openid millrace:read' },
      { scope: ['millrace:read'] },
      { scope: undefined, scp: 'millrace:read' },
      { scope: undefined, scp: ['millrace:read'] },
      { scope: undefined, roles: ['millrace:read'] },
    ])
      expect(await may(claims), JSON.stringify(claims)).toBe(200);
    for (const claims of [
      { scope: undefined },
      { scope: '' },
      { scope: 'read' },
      { scope: 'millrace:reader' },
      { scope: { 'millrace:read': true } },
      // The user has the role, and this client was not given it.
      { scope: 'openid', roles: ['millrace:read'] },
      { scope: undefined, permissions: ['millrace:read'] },
    ])
      expect(await may(claims), JSON.stringify(claims)).toBe(403);
    expect(await may({ scope: 'millrace:read' }, '/metrics')).toBe(403);
    expect(await may({ scope: 'millrace:metrics' }, '/metrics')).toBe(200);
  });

  test('may be said by another claim, and of all tokens', async () => {
    await guarded({ permissionClaims: ['realm_access.roles'], permissions: ['read'] });
    expect(await may({ scope: undefined })).toBe(200);
    expect(await may({ scope: 'millrace:metrics' }, '/metrics')).toBe(403);
    expect(await may({ realm_access: { roles: ['millrace:metrics'] } }, '/metrics')).toBe(200);
  });

  test('is told with what is missing, so that a client can ask for it', async () => {
    await guarded();
    const response = await ask(await issuer.token({ scope: 'millrace:read' }), { url: '/metrics' });
    expect([response.statusCode, response.json().code]).toEqual([403, 'FORBIDDEN']);
    expect(response.json().detail).toBe('the token lacks the permission "metrics"; it has read');
    expect(response.headers['www-authenticate']).toBe(
      'Bearer realm="millrace", error="insufficient_scope", scope="millrace:read millrace:metrics", ' +
        'resource_metadata="http://localhost:80/.well-known/oauth-protected-resource"',
    );
  });

  test('is told with all that is missing at once', async () => {
    const { app } = await guarded();
    const authorization = `Bearer ${await issuer.token({ scope: 'millrace:approve' })}`;
    const response = await app.inject({ method: 'DELETE', url: '/v1/runs/r', headers: { authorization } });
    expect([response.statusCode, response.json().detail]).toEqual([
      403,
      'the token lacks the permissions "run" and "read"; it has approve',
    ]);
    const scopes = 'scope="millrace:approve millrace:run millrace:read"';
    expect(response.headers['www-authenticate']).toContain(scopes);
  });
});

describe('a decision', () => {
  test('is signed by the token’s user, whatever name it carries', async () => {
    const { app, temporal } = await guarded();
    const post = async (url: string, payload: object, claims: object = {}) => {
      const headers = { authorization: `Bearer ${await issuer.token({ ...claims })}` };
      return await app.inject({ method: 'POST', url, headers, payload });
    };
    const { id } = (await post('/v1/pipelines/greet/runs', { name: 'Ada' })).json();
    temporal.waitAt(['sign-off']);
    const decision = { nonce: nonceOf('sign-off'), by: 'the boss' };
    const approver = { sub: 'auth0|42', scope: 'millrace:read millrace:approve' };
    expect((await post(`/v1/runs/${id}/approve`, decision)).statusCode).toBe(403);
    expect((await post(`/v1/runs/${id}/approve`, decision, { ...approver, tenant: 'other' })).statusCode).toBe(404);
    expect((await post(`/v1/runs/${id}/approve`, decision, approver)).statusCode).toBe(202);
    expect(temporal.sent).toEqual([['decide', { ...decision, approved: true, actor: 'user:auth0|42' }]]);
  });
});

describe('the provider', () => {
  test('that is away at the start makes tokens 503, not 401, and keys go on', async () => {
    issuer.away = true;
    await guarded();
    const response = await ask(await issuer.token());
    expect([response.statusCode, response.json().code]).toEqual([503, 'ISSUER_UNAVAILABLE']);
    expect(response.headers['retry-after']).toBe('10');
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(response.body).not.toContain('127.0.0.1');
    expect((await ask(secret)).statusCode).toBe(200);
    await expect(tokens?.check()).rejects.toMatchObject({ code: 'ISSUER_UNAVAILABLE' });
    // It may be an attack as well.
    const codes: number[] = [];
    for (let i = 0; i < 22; i++) codes.push((await ask(await issuer.token(), { from: '10.8.8.8' })).statusCode);
    expect(codes).toEqual([...Array(20).fill(503), 429, 429]);
  });

  test('that goes away later takes nothing from known keys', async () => {
    await guarded();
    expect((await ask(await issuer.token())).statusCode).toBe(200);
    issuer.away = true;
    expect((await ask(await issuer.token())).statusCode).toBe(200);
  });

  test('is asked once, however many unknown keys are shown', async () => {
    await guarded();
    expect((await ask(await issuer.token())).statusCode).toBe(200);
    for (let i = 0; i < 20; i++) {
      const token = await issuer.token({}, { key: foreign, header: { kid: `guess-${i}` } });
      expect((await ask(token)).statusCode).toBe(401);
    }
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });
});
