import type { DocumentedProvider } from './documented-providers.js';

/** Providers of tokens for programs. Whoever has a program there gets tokens for any audience: it is the grants that decide. */

const API = 'https://gateway.example';
const RUN_AND_READ = ['run', 'read'];
const SERVICE_ACCOUNT = '113774264463038321964';
const GITHUB = 'https://token.actions.githubusercontent.com';
const CLUSTER = 'https://kubernetes.default.svc.cluster.local';

export const google: DocumentedProvider = {
  name: 'Google, a service account',
  source: 'https://cloud.google.com/docs/authentication/token-types#id',
  settings: {
    MILLRACE_OIDC_ISSUER: 'https://accounts.google.com',
    MILLRACE_OIDC_AUDIENCE: API,
    MILLRACE_OIDC_TENANT: 'acme',
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'sub',
    MILLRACE_OIDC_GRANTS: `${SERVICE_ACCOUNT}=run+read`,
  },
  configurationUrl: 'https://accounts.google.com/.well-known/openid-configuration',
  configuration: {
    issuer: 'https://accounts.google.com',
    jwks_uri: 'https://www.googleapis.com/oauth2/v3/certs',
  },
  published: { ofKey: { alg: 'RS256', use: 'sig' } },
  header: { typ: 'JWT', kid: '6f9777a685907798ef794062c00b65d66c240b1b' },
  claims: {
    iss: 'https://accounts.google.com',
    azp: SERVICE_ACCOUNT,
    aud: API,
    email: 'batch@acme-project.iam.gserviceaccount.com',
    email_verified: true,
    sub: SERVICE_ACCOUNT,
  },
  caller: { tenant: 'acme', user: SERVICE_ACCOUNT, permissions: RUN_AND_READ },
  refused: [
    [
      'an ID token of a person who signed in',
      { sub: '1', hd: 'acme.example', at_hash: 'HK6E_P6Dh8Y93m' },
      /no access token/,
    ],
  ],
};

export const githubActions: DocumentedProvider = {
  name: 'GitHub Actions',
  source: 'https://docs.github.com/actions/reference/security/oidc',
  settings: {
    MILLRACE_OIDC_ISSUER: GITHUB,
    MILLRACE_OIDC_AUDIENCE: API,
    MILLRACE_OIDC_TENANT_CLAIM: 'repository_owner_id',
    MILLRACE_OIDC_TENANTS: '65',
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'repository',
    MILLRACE_OIDC_GRANTS: 'Octo-Org/octo-repo=run+read',
  },
  configurationUrl: `${GITHUB}/.well-known/openid-configuration`,
  configuration: { issuer: GITHUB, jwks_uri: `${GITHUB}/.well-known/jwks` },
  published: { ofKey: { alg: 'RS256', use: 'sig', x5c: ['MIIDKzCCAhOgAwIBAgIUDnwm6eRIqGFA3o'], x5t: 'KxHkNh' } },
  header: { typ: 'JWT', kid: 'example-key-id', x5t: 'example-thumbprint' },
  claims: {
    jti: 'example-id',
    sub: 'repo:Octo-Org/octo-repo:environment:prod',
    environment: 'prod',
    aud: API,
    ref: 'refs/heads/main',
    sha: '0123456789abcdef0123456789abcdef01234567',
    repository: 'Octo-Org/octo-repo',
    repository_owner: 'Octo-Org',
    actor_id: '12',
    repository_visibility: 'private',
    repository_id: '74',
    repository_owner_id: '65',
    run_id: '9',
    run_number: '10',
    run_attempt: '2',
    runner_environment: 'github-hosted',
    actor: 'octocat',
    workflow: 'example-workflow',
    head_ref: '',
    base_ref: '',
    event_name: 'workflow_dispatch',
    ref_type: 'branch',
    job_workflow_ref: 'Octo-Org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
    iss: GITHUB,
  },
  caller: { tenant: '65', user: 'repo:Octo-Org/octo-repo:environment:prod', permissions: RUN_AND_READ },
  refused: [
    ['a token for its default audience', { aud: 'https://github.com/Octo-Org' }, /another audience/],
    ['a token of another owner’s repository', { repository_owner_id: '66' }, /not accepted/],
  ],
};

export const kubernetes: DocumentedProvider = {
  name: 'Kubernetes, a service account',
  source:
    'https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims',
  settings: {
    MILLRACE_OIDC_ISSUER: CLUSTER,
    MILLRACE_OIDC_AUDIENCE: API,
    MILLRACE_OIDC_TENANT_CLAIM: 'kubernetes.io.namespace',
    MILLRACE_OIDC_PERMISSIONS_CLAIM: 'sub',
    MILLRACE_OIDC_GRANTS: 'system:serviceaccount:team-a:web=run+read',
  },
  configurationUrl: `${CLUSTER}/.well-known/openid-configuration`,
  configuration: { issuer: CLUSTER, jwks_uri: 'https://192.0.2.10:6443/openid/v1/jwks' },
  published: { ofKey: { alg: 'RS256', use: 'sig' } },
  header: { kid: 'JHXehTYnpnHd7Pb3KTvO6nB9gSnlRdmHjLDgcMI0y5s' },
  claims: {
    aud: [API],
    iss: CLUSTER,
    jti: 'aed34954-b33a-4142-b1ec-389d6bbb4936',
    'kubernetes.io': {
      namespace: 'team-a',
      node: { name: 'my-node', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
      pod: { name: 'my-pod', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
      serviceaccount: { name: 'web', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
    },
    sub: 'system:serviceaccount:team-a:web',
  },
  caller: { tenant: 'team-a', user: 'system:serviceaccount:team-a:web', permissions: RUN_AND_READ },
  refused: [['a token for the API server', { aud: [CLUSTER] }, /another audience/]],
};

export const PROVIDERS_OF_PROGRAMS: readonly DocumentedProvider[] = [google, githubActions, kubernetes];
