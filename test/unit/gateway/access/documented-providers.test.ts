import { createHmac } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProviderKeys, Tokens } from '../../../../gateway/access/tokens/index.js';
import { readProviderKeys } from '../../../../gateway/index.js';
import { tokenRules } from '../../../../workers/keys/index.js';
import { readSettings } from '../../../../workers/settings.js';
import {
  cognito,
  type DocumentedProvider,
  ENTRA_API,
  ENTRA_TENANT,
  entraOfTenants,
  keycloak,
  PROVIDERS_OF_PEOPLE,
} from '../../../support/documented-providers.js';
import { githubActions, google, kubernetes, PROVIDERS_OF_PROGRAMS } from '../../../support/documented-workloads.js';
import { pemOf, type SigningKey, signingKey } from '../../../support/oidc-issuer.js';

/** The tokens are made here after the providers' documents; no provider was asked. */

const PROVIDERS = [...PROVIDERS_OF_PEOPLE, ...PROVIDERS_OF_PROGRAMS];
const logger = pino({ level: 'silent' });

let rsa: SigningKey;
beforeAll(async () => {
  rsa = await signingKey('rsa', 'RS256');
});

/** What the web answers in place of the providers, by address. */
let web: Map<string, unknown>;
let asked: string[];
beforeEach(() => {
  web = new Map();
  asked = [];
  vi.stubGlobal('fetch', async (address: string) => {
    asked.push(address);
    const document = web.get(address);
    return document === undefined ? new Response('', { status: 404 }) : new Response(JSON.stringify(document));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

async function publish({ configurationUrl, configuration, published, header }: DocumentedProvider, key = rsa) {
  web.set(configurationUrl, configuration);
  const own = { ...(await exportJWK(key.publicKey)), ...published.ofKey, kid: header.kid };
  web.set(configuration.jwks_uri, { keys: [...(published.others ?? []), own] });
}

interface Made {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: SigningKey;
}

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

async function tokenOf(provider: DocumentedProvider, { claims = {}, header = {}, key = rsa }: Made = {}) {
  const times = { iat: inSeconds(-5), nbf: inSeconds(-5), exp: inSeconds(300), auth_time: inSeconds(-60) };
  return await new SignJWT({ ...times, ...provider.claims, ...claims })
    .setProtectedHeader({ alg: key.alg, ...provider.header, ...header })
    .sign(key.privateKey);
}

/** Whom a gateway with the settings takes for the caller of a token. */
async function callerOf(token: string, settings: Readonly<Record<string, string>>) {
  const rules = tokenRules(readSettings(settings));
  if (rules === undefined) throw new Error('no tokens are accepted');
  const tokens = new Tokens(rules, new ProviderKeys((signal) => readProviderKeys(rules.issuer, signal), logger));
  try {
    return await tokens.callerOf(token);
  } finally {
    tokens.close();
  }
}

const unauthenticated = (why: RegExp) => ({ code: 'UNAUTHENTICATED', message: expect.stringMatching(why) });
const forbidden = (why: RegExp) => ({ code: 'FORBIDDEN', message: expect.stringMatching(why) });

describe.each(PROVIDERS.map((provider) => [provider.name, provider] as const))('tokens of %s', (_, provider) => {
  test('are accepted by the settings that the guide names', async () => {
    await publish(provider);
    expect(await callerOf(await tokenOf(provider), provider.settings)).toEqual({ ...provider.caller, token: true });
    expect(asked).toEqual([provider.configurationUrl, provider.configuration.jwks_uri]);
  });

  const refused: DocumentedProvider['refused'] = [
    ...provider.refused,
    ['a token that has expired', { exp: 1 }, /has expired/],
  ];
  test.each(refused)('are refused: %s', async (_what, claims, why) => {
    await publish(provider);
    const asking = callerOf(await tokenOf(provider, { claims }), provider.settings);
    await expect(asking).rejects.toMatchObject({ message: expect.stringMatching(why) });
  });

  test('are refused: signed by nobody, by a shared secret, or by another key', async () => {
    await publish(provider);
    const [, payload = ''] = (await tokenOf(provider)).split('.');
    const encoded = (header: object) =>
      Buffer.from(JSON.stringify({ ...provider.header, ...header })).toString('base64url');
    const signed = (input: string, secret: string) =>
      `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
    const none = `${encoded({ alg: 'none' })}.${payload}.AAAA`;
    const shared = signed(`${encoded({ alg: 'HS256' })}.${payload}`, await pemOf(rsa));
    for (const forged of [none, shared])
      await expect(callerOf(forged, provider.settings)).rejects.toMatchObject(unauthenticated(/algorithm/));
    const foreign = await tokenOf(provider, { key: await signingKey('foreign', 'ES256') });
    await expect(callerOf(foreign, provider.settings)).rejects.toMatchObject(unauthenticated(/does not have/));
  });
});

describe('a provider for everybody', () => {
  test.each([
    ['Google', google, { sub: '1', azp: '1', email: 'evil@other.iam.gserviceaccount.com' }],
    ['GitHub Actions', githubActions, { repository: 'Octo-Org/other' }],
    ['Kubernetes', kubernetes, { sub: 'system:serviceaccount:team-a:other' }],
  ] as const)('gives nobody permissions who has no grant: %s', async (_, provider, claims) => {
    await publish(provider);
    expect(await callerOf(await tokenOf(provider, { claims }), provider.settings)).toMatchObject({ permissions: [] });
  });

  test('gives nobody a grant by a part of a text', async () => {
    await publish(githubActions);
    const settings = {
      ...githubActions.settings,
      MILLRACE_OIDC_PERMISSIONS_CLAIM: 'workflow',
      MILLRACE_OIDC_GRANTS: 'Deploy it=run, Deploy=approve',
    };
    const permissionsOf = async (workflow: string) =>
      (await callerOf(await tokenOf(githubActions, { claims: { workflow } }), settings)).permissions;
    expect(await permissionsOf('Deploy it')).toEqual(['run']);
    expect(await permissionsOf('Do not Deploy it')).toEqual([]);
    // Whoever names a workflow does not name its permissions.
    for (const text of ['millrace:run', 'Deploy millrace:approve']) expect(await permissionsOf(text)).toEqual([]);
  });

  test('names itself with a scheme or without: Google, and only Google', async () => {
    await publish(google);
    const token = await tokenOf(google, { claims: { iss: 'accounts.google.com' } });
    expect(await callerOf(token, google.settings)).toMatchObject(google.caller);
    await publish(kubernetes);
    const other = await tokenOf(kubernetes, { claims: { iss: 'kubernetes.default.svc.cluster.local' } });
    await expect(callerOf(other, kubernetes.settings)).rejects.toMatchObject(unauthenticated(/another issuer/));
  });
});

describe('tenants of Entra', () => {
  const other = '82229342-1101-4ab6-817b-70c0747630f3';
  const issuerOf = (tenant: string) => `https://login.microsoftonline.com/${tenant}/v2.0`;

  test('are each named by their tokens', async () => {
    await publish(entraOfTenants);
    const token = await tokenOf(entraOfTenants, { claims: { iss: issuerOf(other), tid: other } });
    expect(await callerOf(token, entraOfTenants.settings)).toMatchObject({ tenant: other });
  });

  test('are not named by a key that is another issuer’s', async () => {
    const consumers = issuerOf('9188040d-6c67-4c5b-b112-36a304b66dad');
    const ofKey = { ...entraOfTenants.published.ofKey, issuer: consumers };
    await publish({ ...entraOfTenants, published: { ofKey } });
    const asking = callerOf(await tokenOf(entraOfTenants), entraOfTenants.settings);
    await expect(asking).rejects.toMatchObject(unauthenticated(/does not have/));
  });
});

describe('groups', () => {
  const group = '02223b6b-aa1d-42d4-9ec0-1b2bb9194438';
  const settings = {
    ...entraOfTenants.settings,
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'groups,scp',
    MILLRACE_OIDC_GRANTS: `${group}=run+approve`,
  };
  const others = Array.from({ length: 199 }, (_, i) => `${String(i).padStart(8, '0')}-aa1d-42d4-9ec0-1b2bb9194438`);
  const callerWith = async (claims: Readonly<Record<string, unknown>>, more: Readonly<Record<string, string>> = {}) => {
    await publish(entraOfTenants);
    return await callerOf(await tokenOf(entraOfTenants, { claims }), { ...settings, ...more });
  };

  test('are granted permissions by their ids, also in the longest token that Entra makes', async () => {
    const groups = [...others, group];
    expect((await tokenOf(entraOfTenants, { claims: { groups } })).length).toBeGreaterThan(8_192);
    expect(await callerWith({ groups })).toMatchObject({ permissions: ['run', 'approve'] });
    expect(await callerWith({ groups: others })).toMatchObject({ permissions: [] });
  });

  test.each([
    [
      'named elsewhere',
      { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://x.example' } } },
    ],
    ['said to be there', { hasgroups: true }],
  ])('that are %s permit nothing, and no other claim decides in their place', async (_, claims) => {
    await expect(callerWith(claims)).rejects.toMatchObject(forbidden(/"groups" of the token has been left out/));
    expect(asked).not.toContain('https://x.example');
    expect(await callerWith(claims, { MILLRACE_OIDC_PERMISSIONS: 'read' })).toMatchObject({ permissions: ['read'] });
    expect(await callerWith(claims, { MILLRACE_OIDC_PERMISSIONS_CLAIM: 'scp' })).toMatchObject({
      permissions: ['run', 'read'],
    });
  });

  test('of Cognito are a claim with a colon in its name', async () => {
    await publish(cognito);
    const byGroup = {
      MILLRACE_OIDC_PERMISSIONS_CLAIM: 'cognito:groups',
      MILLRACE_OIDC_GRANTS: 'operators=read+approve',
    };
    const caller = await callerOf(await tokenOf(cognito), { ...cognito.settings, ...byGroup });
    expect(caller).toMatchObject({ permissions: ['read', 'approve'] });
  });

  test('are compared as they are written', async () => {
    await publish(keycloak);
    for (const role of ['Operator', 'operator ', 'operators', 'operator=run']) {
      const claims = { resource_access: { millrace: { roles: [role] } } };
      expect(await callerOf(await tokenOf(keycloak, { claims }), keycloak.settings)).toMatchObject({ permissions: [] });
    }
  });
});

test('scopes have the prefix of the provider where clients are told of them, and only that one in tokens', async () => {
  const rules = tokenRules(readSettings(cognito.settings));
  if (rules === undefined) throw new Error('no tokens are accepted');
  await publish(cognito);
  const tokens = new Tokens(rules, new ProviderKeys((signal) => readProviderKeys(rules.issuer, signal), logger));
  tokens.close();
  const prefix = 'https://gateway.example/';
  expect([tokens.scopes, tokens.scopePrefix]).toEqual([[`${prefix}millrace:read`, `${prefix}millrace:run`], prefix]);
  const claims = { scope: 'https://other.example/millrace:run other/millrace:read' };
  expect(await callerOf(await tokenOf(cognito, { claims }), cognito.settings)).toMatchObject({ permissions: [] });
});

test('an issuer of several tenants is told to clients by an address that they can read', () => {
  const rules = tokenRules(readSettings(entraOfTenants.settings));
  if (rules === undefined) throw new Error('no tokens are accepted');
  const tokens = new Tokens(rules, new ProviderKeys(async () => ({ keys: [] }), logger));
  tokens.close();
  expect(tokens.issuer).toBe('https://login.microsoftonline.com/common/v2.0');
  expect(tokens.scopes).toEqual([`api://${ENTRA_API}/millrace:read`, `api://${ENTRA_API}/millrace:run`]);
  expect(rules.tenants).toContain(ENTRA_TENANT);
});

describe('keys', () => {
  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'] as const)(
    'may be for %s, beside others that nobody knows',
    async (alg) => {
      const key = await signingKey('own', alg);
      const others = [
        { kty: 'AKP', kid: 'post-quantum', alg: 'ML-DSA-44', pub: 'AAAA' },
        { kty: 'NEW', kid: keycloak.header.kid },
        { kty: 'oct', kid: keycloak.header.kid, k: 'AAAA' },
        ...(keycloak.published.others ?? []),
        { ...keycloak.published.others?.[0], kid: keycloak.header.kid },
      ];
      for (const ofKey of [{}, { alg }, { use: 'sig' }, { alg, use: 'sig', key_ops: ['verify'], x5c: ['AAAA'] }]) {
        await publish({ ...keycloak, published: { ofKey, others } }, key);
        expect(await callerOf(await tokenOf(keycloak, { key }), keycloak.settings)).toMatchObject(keycloak.caller);
      }
      // A key for one algorithm is not one for another.
      await publish({ ...keycloak, published: { ofKey: { alg: 'RS512' } } }, key);
      const asking = callerOf(await tokenOf(keycloak, { key }), keycloak.settings);
      await expect(asking).rejects.toMatchObject(unauthenticated(/does not have/));
    },
  );
});

describe('times', () => {
  test('may be half a minute off, and tokens of later are refused', async () => {
    await publish(keycloak);
    const caller = async (claims: Readonly<Record<string, unknown>>) =>
      await callerOf(await tokenOf(keycloak, { claims }), keycloak.settings);
    expect(await caller({ iat: inSeconds(20), nbf: inSeconds(20) })).toMatchObject(keycloak.caller);
    expect(await caller({ exp: inSeconds(-5) })).toMatchObject(keycloak.caller);
    // Not every provider says from when a token is valid; when it was made says nothing of that.
    expect(await caller({ iat: inSeconds(600), nbf: undefined })).toMatchObject(keycloak.caller);
    await expect(caller({ nbf: inSeconds(600) })).rejects.toMatchObject(unauthenticated(/not valid yet/));
    await expect(caller({ exp: inSeconds(-60) })).rejects.toMatchObject(unauthenticated(/expired/));
    await expect(caller({ exp: undefined })).rejects.toMatchObject(unauthenticated(/when it expires/));
    await expect(caller({ nbf: 'soon' })).rejects.toMatchObject(unauthenticated(/not valid yet/));
  });
});
