import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAccess, tokenRules } from '../../../../workers/keys/index.js';
import { readSettings } from '../../../../workers/settings.js';
import { AUDIENCE, OidcIssuer } from '../../../support/oidc-issuer.js';

const ISSUER = { MILLRACE_OIDC_ISSUER: 'https://login.example/acme' };
const rulesOf = (env: Record<string, string>) => tokenRules(readSettings(env));
const invalid = (field: string) =>
  expect.objectContaining({ code: 'INVALID_SETTING', details: { fields: [expect.objectContaining({ field })] } });

describe('the rules of tokens', () => {
  test('are those that most providers need no settings for', () => {
    expect(rulesOf({})).toBeUndefined();
    expect(rulesOf({ ...ISSUER, MILLRACE_OIDC_AUDIENCE: 'api://millrace, https://gateway.example/mcp' })).toEqual({
      issuer: 'https://login.example/acme',
      audiences: ['api://millrace', 'https://gateway.example/mcp'],
      audienceClaim: 'aud',
      tenant: undefined,
      tenantClaim: 'tenant',
      tenants: undefined,
      userClaim: 'sub',
      pipelinesClaim: undefined,
      permissionClaims: ['scope', 'scp', 'roles'],
      grants: new Map(),
      scopePrefix: '',
      permissions: [],
    });
  });

  test('have the gateway itself as audience, as clients of MCP ask for it', () => {
    const { audiences } = rulesOf({ ...ISSUER, MILLRACE_PUBLIC_URL: 'https://gateway.example/' }) ?? {};
    expect(audiences).toEqual([AUDIENCE, `${AUDIENCE}/`, `${AUDIENCE}/mcp`]);
  });

  test('are as the settings say', () => {
    const more = {
      MILLRACE_OIDC_AUDIENCE: 'x',
      MILLRACE_OIDC_TENANT: 'acme',
      MILLRACE_OIDC_USER_CLAIM: 'oid',
      MILLRACE_OIDC_PIPELINES_CLAIM: 'pipelines',
      MILLRACE_OIDC_PERMISSIONS_CLAIM: 'realm_access.roles',
      MILLRACE_OIDC_PERMISSIONS: 'run, read',
      MILLRACE_OIDC_GRANTS: 'the team=run+read, cn=ops=approve,the team =metrics',
      MILLRACE_OIDC_SCOPE_PREFIX: 'api://x/',
    };
    expect(rulesOf({ ...ISSUER, ...more })).toMatchObject({
      tenant: 'acme',
      userClaim: 'oid',
      pipelinesClaim: 'pipelines',
      permissionClaims: ['realm_access.roles'],
      permissions: ['run', 'read'],
      grants: new Map([
        ['the team', ['run', 'read', 'metrics']],
        ['cn=ops', ['approve']],
      ]),
      scopePrefix: 'api://x/',
    });
  });

  test('are for an issuer of several tenants only where these are named, and their claim', () => {
    const several = {
      MILLRACE_OIDC_ISSUER: 'https://login.example/{tenantid}/v2.0',
      MILLRACE_OIDC_AUDIENCE: 'x',
      MILLRACE_OIDC_TENANTS: 'a,b',
      MILLRACE_OIDC_TENANT_CLAIM: 'tid',
    };
    expect(rulesOf(several)).toMatchObject({ tenants: ['a', 'b'], tenantClaim: 'tid' });
    const without = (name: string, value = '') =>
      expect(() => rulesOf({ ...several, [name]: value })).toThrow(invalid(name));
    without('MILLRACE_OIDC_TENANTS');
    without('MILLRACE_OIDC_TENANT_CLAIM');
    without('MILLRACE_OIDC_TENANT', 'a');
  });

  test('are not everybody’s where everybody gets tokens', () => {
    const of = {
      MILLRACE_OIDC_ISSUER: 'https://token.actions.githubusercontent.com',
      MILLRACE_OIDC_AUDIENCE: 'x',
      MILLRACE_OIDC_PERMISSIONS: 'run',
    };
    expect(() => rulesOf({ ...of, MILLRACE_OIDC_TENANT: 'acme' })).toThrow(invalid('MILLRACE_OIDC_PERMISSIONS'));
    expect(rulesOf({ ...of, MILLRACE_OIDC_TENANTS: '65' })).toMatchObject({ permissions: ['run'] });
  });

  test('name audiences where another claim than aud has them', () => {
    const of = { ...ISSUER, MILLRACE_OIDC_AUDIENCE_CLAIM: 'client_id', MILLRACE_PUBLIC_URL: AUDIENCE };
    expect(() => rulesOf(of)).toThrow(invalid('MILLRACE_OIDC_AUDIENCE'));
    expect(rulesOf({ ...of, MILLRACE_OIDC_AUDIENCE: 'app' })).toMatchObject({
      audiences: ['app'],
      audienceClaim: 'client_id',
    });
  });

  test('are never without an audience, nor beside a proxy, nor half', () => {
    expect(() => rulesOf(ISSUER)).toThrow(invalid('MILLRACE_OIDC_AUDIENCE'));
    expect(() => rulesOf({ MILLRACE_OIDC_AUDIENCE: 'x' })).toThrow(invalid('MILLRACE_OIDC_ISSUER'));
    const proxy = { ...ISSUER, MILLRACE_OIDC_AUDIENCE: 'x', MILLRACE_PROXY_AUTHENTICATES: 'yes' };
    expect(() => rulesOf(proxy)).toThrow(invalid('MILLRACE_OIDC_ISSUER'));
  });

  test.each([
    ['MILLRACE_OIDC_ISSUER', 'http://login.example'],
    ['MILLRACE_OIDC_ISSUER', 'login.example'],
    ['MILLRACE_OIDC_ISSUER', 'https://login.example/?tenant=acme'],
    ['MILLRACE_OIDC_ISSUER', 'https://user:password@login.example'],
    ['MILLRACE_OIDC_ISSUER', 'https://login.example/{tenant}/v2.0'],
    ['MILLRACE_OIDC_ISSUER', 'https://{tenantid}.login.example/'],
    ['MILLRACE_OIDC_TENANTS', 'acme,Other'],
    ['MILLRACE_OIDC_TENANTS', 'acme,millrace'],
    ['MILLRACE_OIDC_GRANTS', 'team'],
    ['MILLRACE_OIDC_GRANTS', '=run'],
    ['MILLRACE_OIDC_GRANTS', 'team=run+everything'],
    ['MILLRACE_OIDC_GRANTS', 'team=run, read'],
    ['MILLRACE_OIDC_SCOPE_PREFIX', 'api://x/", error="'],
    ['MILLRACE_OIDC_TENANT', 'Acme'],
    ['MILLRACE_OIDC_TENANT', 'default'],
    ['MILLRACE_OIDC_TENANT', 'millrace'],
    ['MILLRACE_OIDC_PERMISSIONS', 'run,everything'],
  ])('are not made of %s=%s', (name, value) => {
    expect(() => readSettings({ [name]: value })).toThrow(invalid(name));
  });
});

describe('a gateway with an issuer', () => {
  const logger = pino({ level: 'silent' });
  let issuer: OidcIssuer;
  beforeEach(async () => {
    issuer = await OidcIssuer.start();
  });
  afterEach(() => issuer.close());

  const opened = (more: Record<string, string> = {}) =>
    openAccess(
      readSettings({
        MILLRACE_GATEWAY_HOST: '0.0.0.0',
        MILLRACE_OIDC_ISSUER: issuer.url,
        MILLRACE_OIDC_AUDIENCE: AUDIENCE,
        ...more,
      }),
      logger,
    );

  test('needs no keys to be open to other machines, and lets nobody in without a token', async () => {
    const access = await opened();
    const authenticate = (authorization?: string) =>
      access.authenticator.authenticate({ headers: { authorization }, address: '10.0.0.1' });
    expect(await authenticate(`Bearer ${await issuer.token()}`)).toMatchObject({
      tenant: 'acme',
      user: 'ada',
      permissions: ['run', 'read'],
      runs: { of: 'tenant:acme' },
      rate: { of: 'tenant' },
    });
    for (const wrong of [undefined, 'Bearer', 'Bearer millrace_x', 'Basic x'])
      await expect(authenticate(wrong)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await access.readiness.issuer?.check();
    access.close();
  });

  test('lets a token that permits nothing in a few times, at nobody’s cost', async () => {
    const access = await opened();
    const token = await issuer.token({ scope: 'openid' });
    const ask = () =>
      access.authenticator.authenticate({ headers: { authorization: `Bearer ${token}` }, address: '10.0.0.2' });
    for (let i = 0; i < 20; i++) {
      const caller = await ask();
      expect([caller.permissions, caller.rate]).toEqual([[], undefined]);
    }
    await expect(ask()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    access.close();
  });

  test('is degraded while the issuer is away', async () => {
    issuer.away = true;
    const access = await opened();
    await expect
      .poll(async () => await access.readiness.issuer?.check().catch(({ code }: { code: string }) => code))
      .toBe('ISSUER_UNAVAILABLE');
    expect(access.readiness.issuer?.critical).toBe(false);
    access.close();
  });
});
