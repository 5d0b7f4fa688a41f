import { z } from 'zod';
import { grantIn } from '../../gateway/access/grants.js';
import { isWholeKey } from '../../gateway/access/key-form.js';
import { isPermission, PERMISSIONS } from '../../gateway/access/permissions.js';
import { isReserved } from '../../gateway/access/reserved-tenants.js';
import { TENANT } from '../../pipelines/tenant.js';
import { isConfidential } from '../../runtime/loopback.js';
import { list, SHORTEST_SECRET } from './fields.js';

/** Who may reach the gateway, and what new runs are placed by. */
export const ACCESS_SETTINGS = {
  MILLRACE_GATEWAY_HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'Address the gateway binds. If other machines can reach it, keys, an identity provider or an authenticating proxy are required.',
    ),
  MILLRACE_CORS_ORIGINS: list(
    'Origins whose pages may call the gateway from a browser (CORS), such as `https://app.example`, separated by commas. Default: none. Keys are still needed where they are in use; `*` is not accepted.',
  ).refine((origins) => origins === undefined || origins.every(isOrigin), {
    error: 'must be origins such as https://app.example or http://localhost:5173: scheme, host and port only, no *',
  }),
  MILLRACE_MEDIA_ORIGINS: list(
    'Origins from which the gateway fetches media that callers name by address, such as `https://images.example`, separated by commas. Default: none. Every caller can read every address of these origins.',
  ).refine((origins) => origins === undefined || origins.every(isOrigin), {
    error: 'must be origins such as https://images.example or http://minio:9000: scheme, host and port only, no *',
  }),
  MILLRACE_KEYS: z
    .string()
    .refine(
      (file) => !isWholeKey(file),
      'is a key itself, and not the path of the file of keys; callers, such as the command line, have their key in MILLRACE_API_KEY',
    )
    .optional()
    .describe(
      'JSON file of API keys, maintained by "millrace keys"; a change takes effect within a second. With it every request needs a key. Unset, and without an identity provider: the gateway serves this machine only.',
    ),
  MILLRACE_OIDC_ISSUER: z
    .string()
    .refine(isIssuer, 'must be the https URL of an issuer (http on this machine), without a query')
    .optional()
    .describe(
      'Issuer of your identity provider (OpenID Connect), exactly as in the `iss` of its tokens: every request needs such a token, or a key where keys are in use. For several tenants of Entra: with `{tenantid}`, as in its document for all tenants.',
    ),
  MILLRACE_OIDC_AUDIENCE: list(
    'Audiences (`aud`), separated by commas: a token must be for one of them. Default: `MILLRACE_PUBLIC_URL` and its `/mcp`. Name an API to which nobody signs in: applications get ID tokens with their own id as audience.',
  ),
  MILLRACE_OIDC_AUDIENCE_CLAIM: z
    .string()
    .default('aud')
    .describe(
      'Claim with the audience, for providers that do not set `aud`: at Cognito `client_id`, with the ids of the app clients in `MILLRACE_OIDC_AUDIENCE`.',
    ),
  MILLRACE_OIDC_TENANT: z
    .string()
    .refine((name) => TENANT.test(name) && !isReserved(name), 'must be a name of a tenant that is not reserved')
    .optional()
    .describe('The tenant of all tokens. Unset: each token names its own.'),
  MILLRACE_OIDC_TENANT_CLAIM: z
    .string()
    .default('tenant')
    .describe(
      'Claim that names the tenant of a token, or a path such as `organization.id`. A token without it is rejected. At Entra: `tid`.',
    ),
  MILLRACE_OIDC_TENANTS: list(
    'The tenants that tokens may name, separated by commas. Default: all. Required with `{tenantid}` in `MILLRACE_OIDC_ISSUER`.',
  ).refine((names): boolean => names === undefined || names.every((name) => TENANT.test(name) && !isReserved(name)), {
    error: 'must be names of tenants that are not reserved',
  }),
  MILLRACE_OIDC_USER_CLAIM: z
    .string()
    .default('sub')
    .describe(
      'Claim that names the user: recorded with decisions, owner of conversations. Choose one that never goes to another person.',
    ),
  MILLRACE_OIDC_PIPELINES_CLAIM: z
    .string()
    .optional()
    .describe(
      'Claim with the names of the pipelines that a token is for; a token without it is rejected. Unset: every token is for all pipelines.',
    ),
  MILLRACE_OIDC_PERMISSIONS_CLAIM: list(
    'Claims that may have permissions, as `millrace:run`, `millrace:read`, `millrace:approve`, `millrace:metrics`; the first one that a token has counts. Default: `scope`, `scp`, `roles`.',
  ),
  MILLRACE_OIDC_GRANTS: list(
    'Permissions for other values of these claims, such as `platform-team=run+read`, separated by commas: names of groups or roles, or subjects, compared exactly. Default: none.',
  ).refine((grants): boolean => grants === undefined || grants.every((each) => grantIn(each) !== undefined), {
    error: `must be such as platform-team=run+read, with ${PERMISSIONS.join(', ')}`,
  }),
  MILLRACE_OIDC_SCOPE_PREFIX: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be visible ASCII without quotes and backslashes')
    .optional()
    .describe(
      'Prefix that the provider puts before scope names, such as `api://<id>/` at Entra and `<identifier>/` at Cognito: the metadata for clients has scopes with it, and tokens may have them with or without it.',
    ),
  MILLRACE_OIDC_PERMISSIONS: list('Permissions of every token, whatever its claims: `run,read`. Default: none.').refine(
    (names): boolean => names === undefined || names.every(isPermission),
    { error: `must be some of ${PERMISSIONS.join(', ')}` },
  ),
  MILLRACE_PROXY_AUTHENTICATES: z
    .enum(['no', 'yes'])
    .default('no')
    .describe(
      'Whether a proxy in front authenticates callers, sets `Millrace-Tenant` on every request and removes it from clients’ requests: the gateway then needs no keys.',
    ),
  MILLRACE_PROXY_SECRET: list(
    'Secret that the proxy sends as `Millrace-Proxy-Secret`, at least 32 characters; several, separated by commas, during a rotation. Required if other machines can reach the gateway’s address.',
    SHORTEST_SECRET,
  ),
  MILLRACE_PROXY_GRPC: z
    .enum(['off', 'on'])
    .default('off')
    .describe(
      'Whether gRPC is served when a proxy authenticates. Off: most proxies pass HTTP only, and a port beside the proxy would bypass it. On: the same headers are required as metadata.',
    ),
  MILLRACE_API_KEY: z
    .string()
    .optional()
    .describe('API key, or token of the identity provider, that the command line sends to the gateway.'),
  MILLRACE_PLACEMENT: z
    .string()
    .optional()
    .describe(
      'Placement file, as written by `millrace place`, that new runs use; a change takes effect within a second. Default: none, every stage goes to the shared queue.',
    ),
};

/** OpenID Connect Discovery 1.0 §3; one part of the path may stand for the tenant. */
function isIssuer(text: string): boolean {
  return isConfidential(text) && !/[?#@\s{}]/.test(text.replace('/{tenantid}/', '/'));
}

/** As browsers send it: lower case, without a default port, a path or a slash at the end. */
function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes('*');
}
