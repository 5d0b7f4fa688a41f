/**
 * Identity providers as their documents describe them: what they publish, and what their tokens have. None of it was recorded from a
 * provider. Names and ids are those of the documents’ examples, or made up.
 */
export interface DocumentedProvider {
  readonly name: string;
  /** The document that has the form of the tokens. */
  readonly source: string;
  /** The settings that a gateway needs for it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Where its discovery document is. */
  readonly configurationUrl: string;
  /** The members of that document that are read. */
  readonly configuration: { readonly issuer: string; readonly jwks_uri: string };
  /** What it publishes for the key that signs, besides the parts of the key itself, and its other keys. */
  readonly published: { readonly ofKey: Claims; readonly others?: readonly Claims[] };
  readonly header: { readonly kid: string; readonly typ?: string; readonly [name: string]: unknown };
  /** Claims of its tokens, without the times. */
  readonly claims: Claims;
  readonly caller: { readonly tenant: string; readonly user: string; readonly permissions: readonly string[] };
  /** Tokens that it signs as well and that open nothing: claims in place of those above. */
  readonly refused: readonly (readonly [what: string, claims: Claims, why: RegExp])[];
}

type Claims = Readonly<Record<string, unknown>>;

const API = 'https://gateway.example';
const CERTIFICATE = ['MIIDBTCCAe2gAwIBAgIQN33ROaIJ6bJBWDCxtmJEbjANBgkqhkiG9w0BAQsFADAtMSswKQ'];
const RUN_AND_READ = ['run', 'read'];

export const ENTRA_TENANT = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490';
export const ENTRA_API = '6e74172b-be56-4843-9ff4-e66a39bb12e3';
const ENTRA = 'https://login.microsoftonline.com';
const ENTRA_PERSON = '690222be-ff1a-4d56-abd1-7e4f7d38e474';
const ENTRA_KID = 'jS1Xo1OWDj_52vbwGNgvQO2VzMc';

const okta: DocumentedProvider = {
  name: 'Okta, a custom authorization server',
  source: 'https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/#access-token',
  settings: { MILLRACE_OIDC_ISSUER: 'https://acme.okta.com/oauth2/aus1millrace', MILLRACE_OIDC_AUDIENCE: API },
  configurationUrl: 'https://acme.okta.com/oauth2/aus1millrace/.well-known/openid-configuration',
  configuration: {
    issuer: 'https://acme.okta.com/oauth2/aus1millrace',
    jwks_uri: 'https://acme.okta.com/oauth2/aus1millrace/v1/keys',
  },
  published: { ofKey: { alg: 'RS256', use: 'sig' } },
  header: { kid: 'ZkvelLN_seik7w4pc_prCcfUf-h2hFfiwkDeCrs0iUc' },
  claims: {
    ver: 1,
    jti: 'AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts',
    iss: 'https://acme.okta.com/oauth2/aus1millrace',
    aud: API,
    sub: 'ada@acme.example',
    cid: '0oa1client',
    uid: '00u1ada',
    scp: ['openid', 'millrace:run', 'millrace:read'],
    tenant: 'acme',
  },
  caller: { tenant: 'acme', user: 'ada@acme.example', permissions: RUN_AND_READ },
  refused: [
    [
      'an ID token',
      { at_hash: 'fPlsvVszI29LU2UhDyJ9vg', idp: '00o1', amr: ['pwd'], cid: undefined },
      /no access token/,
    ],
    ['a token of the org server', { iss: 'https://acme.okta.com', aud: 'https://acme.okta.com' }, /another issuer/],
  ],
};

const entra: DocumentedProvider = {
  name: 'Entra, version 2, a person',
  source: 'https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference',
  settings: {
    MILLRACE_OIDC_ISSUER: `${ENTRA}/${ENTRA_TENANT}/v2.0`,
    MILLRACE_OIDC_AUDIENCE: ENTRA_API,
    MILLRACE_OIDC_TENANT_CLAIM: 'tid',
    MILLRACE_OIDC_USER_CLAIM: 'oid',
    MILLRACE_OIDC_SCOPE_PREFIX: `api://${ENTRA_API}/`,
  },
  configurationUrl: `${ENTRA}/${ENTRA_TENANT}/v2.0/.well-known/openid-configuration`,
  configuration: {
    issuer: `${ENTRA}/${ENTRA_TENANT}/v2.0`,
    jwks_uri: `${ENTRA}/${ENTRA_TENANT}/discovery/v2.0/keys`,
  },
  // Its keys have no `alg`.
  published: {
    ofKey: { use: 'sig', x5t: ENTRA_KID, x5c: CERTIFICATE, issuer: `${ENTRA}/${ENTRA_TENANT}/v2.0` },
  },
  header: { typ: 'JWT', kid: ENTRA_KID },
  claims: {
    aud: ENTRA_API,
    iss: `${ENTRA}/${ENTRA_TENANT}/v2.0`,
    aio: 'AXQAi/8IAAAAtAaZLo3ChMif6KOnttRB7eBq4/DccQzjcJGxPXYy',
    azp: '75dbe77f-10a3-4e59-85fd-8c127544f17c',
    azpacr: '0',
    name: 'Ada Lovelace',
    oid: ENTRA_PERSON,
    preferred_username: 'ada@acme.example',
    rh: 'I',
    scp: 'millrace:run millrace:read',
    sub: 'HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ',
    tid: ENTRA_TENANT,
    uti: 'fqiBqXLPj0eQa82S-IYFAA',
    ver: '2.0',
  },
  caller: { tenant: ENTRA_TENANT, user: ENTRA_PERSON, permissions: RUN_AND_READ },
  refused: [
    [
      'an ID token of the API itself, with roles of the person',
      { azp: undefined, azpacr: undefined, scp: undefined, roles: ['millrace:approve'], nonce: '12345' },
      /no access token/,
    ],
    ['a token of version 1', { iss: `https://sts.windows.net/${ENTRA_TENANT}/`, ver: '1.0' }, /another issuer/],
    ['a token for Graph', { aud: '00000003-0000-0000-c000-000000000000' }, /another audience/],
  ],
};

const entraApplication: DocumentedProvider = {
  ...entra,
  name: 'Entra, version 2, an application',
  claims: {
    ...entra.claims,
    azpacr: '1',
    idtyp: 'app',
    name: undefined,
    preferred_username: undefined,
    scp: undefined,
    oid: '2af0a54a-52f9-4a4f-b1a1-9c2d5d0a6a11',
    sub: '2af0a54a-52f9-4a4f-b1a1-9c2d5d0a6a11',
    roles: ['millrace:read', 'millrace:run'],
  },
  caller: { ...entra.caller, user: '2af0a54a-52f9-4a4f-b1a1-9c2d5d0a6a11' },
  refused: [],
};

const entraOld: DocumentedProvider = {
  ...entra,
  name: 'Entra, version 1',
  settings: {
    ...entra.settings,
    MILLRACE_OIDC_ISSUER: `https://sts.windows.net/${ENTRA_TENANT}/`,
    MILLRACE_OIDC_AUDIENCE: `api://${ENTRA_API},${ENTRA_API}`,
  },
  configurationUrl: `https://sts.windows.net/${ENTRA_TENANT}/.well-known/openid-configuration`,
  configuration: {
    issuer: `https://sts.windows.net/${ENTRA_TENANT}/`,
    jwks_uri: `${ENTRA}/${ENTRA_TENANT}/discovery/keys`,
  },
  published: { ofKey: { use: 'sig', x5t: ENTRA_KID, x5c: CERTIFICATE } },
  header: { typ: 'JWT', x5t: ENTRA_KID, kid: ENTRA_KID },
  claims: {
    aud: `api://${ENTRA_API}`,
    iss: `https://sts.windows.net/${ENTRA_TENANT}/`,
    acr: '1',
    amr: ['pwd'],
    appid: '75dbe77f-10a3-4e59-85fd-8c127544f17c',
    appidacr: '0',
    family_name: 'Lovelace',
    ipaddr: '203.0.113.9',
    oid: ENTRA_PERSON,
    scp: 'millrace:run millrace:read',
    sub: 'l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA',
    tid: ENTRA_TENANT,
    unique_name: 'ada@acme.example',
    ver: '1.0',
  },
  refused: [
    ['an ID token', { appid: undefined, appidacr: undefined, scp: undefined, nonce: '12345' }, /no access token/],
    ['a token for another API', { aud: 'https://graph.microsoft.com' }, /another audience/],
  ],
};

/** The tenant-independent document, whose issuer has a place for the tenant. */
export const entraOfTenants: DocumentedProvider = {
  ...entra,
  name: 'Entra, several tenants',
  source: 'https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer',
  settings: {
    ...entra.settings,
    MILLRACE_OIDC_ISSUER: `${ENTRA}/{tenantid}/v2.0`,
    MILLRACE_OIDC_TENANTS: `${ENTRA_TENANT},82229342-1101-4ab6-817b-70c0747630f3`,
  },
  configurationUrl: `${ENTRA}/common/v2.0/.well-known/openid-configuration`,
  configuration: { issuer: `${ENTRA}/{tenantid}/v2.0`, jwks_uri: `${ENTRA}/common/discovery/v2.0/keys` },
  published: {
    ofKey: { use: 'sig', x5t: ENTRA_KID, x5c: CERTIFICATE, issuer: `${ENTRA}/{tenantid}/v2.0` },
  },
  refused: [
    [
      'a token of a tenant that is not named',
      { iss: `${ENTRA}/11111111-1101-4ab6-817b-70c0747630f3/v2.0`, tid: '11111111-1101-4ab6-817b-70c0747630f3' },
      /another issuer/,
    ],
    ['a token whose issuer is another tenant’s', { tid: '82229342-1101-4ab6-817b-70c0747630f3' }, /another issuer/],
    ['a token of no tenant', { tid: undefined }, /another issuer/],
    ['a token that has the template', { iss: `${ENTRA}/{tenantid}/v2.0`, tid: '{tenantid}' }, /another issuer/],
  ],
};

export const keycloak: DocumentedProvider = {
  name: 'Keycloak',
  source: 'https://www.keycloak.org/docs/latest/server_admin/#_audience',
  settings: {
    MILLRACE_OIDC_ISSUER: 'https://sso.example/realms/acme',
    MILLRACE_OIDC_AUDIENCE: 'millrace',
    MILLRACE_OIDC_TENANT_CLAIM: 'organization',
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'resource_access.millrace.roles',
    MILLRACE_OIDC_GRANTS: 'operator=run+read+approve, viewer=read',
  },
  configurationUrl: 'https://sso.example/realms/acme/.well-known/openid-configuration',
  configuration: {
    issuer: 'https://sso.example/realms/acme',
    jwks_uri: 'https://sso.example/realms/acme/protocol/openid-connect/certs',
  },
  published: {
    ofKey: { alg: 'RS256', use: 'sig', x5c: CERTIFICATE, x5t: 'w0mVc', 'x5t#S256': 'wGBs' },
    others: [{ kid: 'enc-1', kty: 'RSA', alg: 'RSA-OAEP', use: 'enc', n: 'AQAB', e: 'AQAB', x5c: CERTIFICATE }],
  },
  header: { typ: 'JWT', kid: 'nnniBrxL0qhG79pkF3ccQj_l0jDmxKrYYy2YLlEe1s' },
  claims: {
    jti: 'onrtac:3a8f5e2c-8d0e-4a52-9d0a-0d8f0e0d2b52',
    iss: 'https://sso.example/realms/acme',
    aud: ['millrace', 'account'],
    sub: 'f1f7e1c0-55a5-4f3e-9c12-3a1d6a5b8d01',
    typ: 'Bearer',
    azp: 'web-shop',
    sid: '1e1a7b4c-3c5d-4d8e-9f10-1a2b3c4d5e6f',
    acr: '1',
    'allowed-origins': ['https://shop.example'],
    realm_access: { roles: ['offline_access', 'default-roles-acme', 'uma_authorization'] },
    resource_access: { millrace: { roles: ['operator'] }, account: { roles: ['manage-account', 'view-profile'] } },
    scope: 'openid profile email',
    email_verified: true,
    organization: ['acme'],
    preferred_username: 'ada',
  },
  caller: { tenant: 'acme', user: 'f1f7e1c0-55a5-4f3e-9c12-3a1d6a5b8d01', permissions: ['run', 'read', 'approve'] },
  refused: [
    ['a token for the account console', { aud: 'account' }, /another audience/],
    ['an ID token', { typ: 'ID', at_hash: 'ZTJ0' }, /no access token/],
    ['a refresh token', { typ: 'Refresh' }, /no access token/],
    [
      'a token bound by DPoP',
      { typ: 'DPoP', cnf: { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' } },
      /no access/,
    ],
  ],
};

const auth0: DocumentedProvider = {
  name: 'Auth0, its own profile',
  source: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
  settings: {
    MILLRACE_OIDC_ISSUER: 'https://acme.eu.auth0.com/',
    MILLRACE_OIDC_AUDIENCE: API,
    MILLRACE_OIDC_TENANT_CLAIM: 'https://acme.example/claims/tenant',
  },
  configurationUrl: 'https://acme.eu.auth0.com/.well-known/openid-configuration',
  configuration: {
    issuer: 'https://acme.eu.auth0.com/',
    jwks_uri: 'https://acme.eu.auth0.com/.well-known/jwks.json',
  },
  published: { ofKey: { alg: 'RS256', use: 'sig', x5t: 'gW0mVc', x5c: CERTIFICATE } },
  header: { typ: 'JWT', kid: 'NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg' },
  claims: {
    iss: 'https://acme.eu.auth0.com/',
    sub: 'auth0|123456',
    aud: [API, 'https://acme.eu.auth0.com/userinfo'],
    azp: 'my_client_id',
    scope: 'openid profile millrace:run millrace:read',
    permissions: ['millrace:run', 'millrace:read', 'millrace:approve'],
    'https://acme.example/claims/tenant': 'acme',
    'https://acme.example/claims/roles': ['editor'],
  },
  // Not what the person may do besides.
  caller: { tenant: 'acme', user: 'auth0|123456', permissions: RUN_AND_READ },
  refused: [
    ['a token for userinfo only', { aud: 'https://acme.eu.auth0.com/userinfo' }, /another audience/],
    ['a token of an issuer without the slash', { iss: 'https://acme.eu.auth0.com' }, /another issuer/],
  ],
};

const auth0Rfc9068: DocumentedProvider = {
  ...auth0,
  name: 'Auth0, the profile of RFC 9068, with roles in a claim of an action',
  settings: {
    ...auth0.settings,
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'https://acme.example/claims/roles',
    MILLRACE_OIDC_GRANTS: 'editor=run+read',
  },
  header: { ...auth0.header, typ: 'at+jwt' },
  claims: { ...auth0.claims, azp: undefined, client_id: 'my_client_id', jti: '73WakrfVbNJBaAmhQtEeDv' },
  refused: [],
};

const COGNITO = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example';

export const cognito: DocumentedProvider = {
  name: 'Cognito',
  source:
    'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html',
  settings: {
    MILLRACE_OIDC_ISSUER: COGNITO,
    MILLRACE_OIDC_AUDIENCE: '1example23456789,2example23456789',
    MILLRACE_OIDC_AUDIENCE_CLAIM: 'client_id',
    MILLRACE_OIDC_SCOPE_PREFIX: `${API}/`,
    MILLRACE_OIDC_TENANT: 'acme',
  },
  configurationUrl: `${COGNITO}/.well-known/openid-configuration`,
  configuration: { issuer: COGNITO, jwks_uri: `${COGNITO}/.well-known/jwks.json` },
  // ID tokens have a key of their own.
  published: { ofKey: { alg: 'RS256', use: 'sig' }, others: [{ kid: 'id=', kty: 'RSA', alg: 'RS256', use: 'sig' }] },
  header: { kid: '1234example=' },
  claims: {
    sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    'cognito:groups': ['operators'],
    iss: COGNITO,
    version: 2,
    client_id: '1example23456789',
    origin_jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    event_id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    token_use: 'access',
    scope: `openid ${API}/millrace:run ${API}/millrace:read`,
    jti: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    username: 'ada',
  },
  caller: { tenant: 'acme', user: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee', permissions: RUN_AND_READ },
  refused: [
    ['an ID token', { token_use: 'id', aud: '1example23456789', client_id: undefined }, /no access token/],
    ['an ID token that has more', { token_use: 'id', aud: '1example23456789' }, /no access token/],
    ['a token of another app client', { client_id: '9example23456789' }, /another audience/],
    ['a token of no app client', { client_id: undefined }, /another audience/],
    ['a token for another API by resource binding', { aud: 'https://other.example' }, /another audience/],
  ],
};

export const PROVIDERS_OF_PEOPLE: readonly DocumentedProvider[] = [
  okta,
  entra,
  entraApplication,
  entraOld,
  entraOfTenants,
  keycloak,
  auth0,
  auth0Rfc9068,
  cognito,
];
