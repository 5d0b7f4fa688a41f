import { grantsIn } from '../../gateway/access/grants.js';
import { readProviderKeys, type TokenRules, type Tokens } from '../../gateway/access/index.js';
import { isPermission } from '../../gateway/access/permissions.js';
import { isForEverybody, isOfTenants } from '../../gateway/access/tokens/issuer.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { withoutSlash } from '../../runtime/without-slash.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Settings } from '../settings.js';

export type TokenSettings = Pick<
  Settings,
  | 'MILLRACE_OIDC_ISSUER'
  | 'MILLRACE_OIDC_AUDIENCE'
  | 'MILLRACE_OIDC_AUDIENCE_CLAIM'
  | 'MILLRACE_OIDC_TENANT'
  | 'MILLRACE_OIDC_TENANTS'
  | 'MILLRACE_OIDC_TENANT_CLAIM'
  | 'MILLRACE_OIDC_USER_CLAIM'
  | 'MILLRACE_OIDC_PIPELINES_CLAIM'
  | 'MILLRACE_OIDC_PERMISSIONS_CLAIM'
  | 'MILLRACE_OIDC_GRANTS'
  | 'MILLRACE_OIDC_SCOPE_PREFIX'
  | 'MILLRACE_OIDC_PERMISSIONS'
  | 'MILLRACE_PROXY_AUTHENTICATES'
  | 'MILLRACE_PUBLIC_URL'
>;

/** Scopes as the standards and most providers name them; `scp` is Okta's and Entra's, `roles` Entra's of applications. */
const PERMISSION_CLAIMS = ['scope', 'scp', 'roles'];

/** Accepts tokens of an identity provider, whose keys are read from now on. */
export async function openTokens(rules: TokenRules, logger: Logger): Promise<Tokens> {
  const { ProviderKeys, Tokens } = await import('../../gateway/access/tokens/index.js');
  return new Tokens(rules, new ProviderKeys((signal) => readProviderKeys(rules.issuer, signal), logger));
}

/** Which tokens are accepted, and what their claims mean; undefined if none are. Throws `INVALID_SETTING`. */
export function tokenRules(settings: TokenSettings): TokenRules | undefined {
  const { MILLRACE_OIDC_ISSUER: issuer, MILLRACE_OIDC_AUDIENCE: named } = settings;
  if (issuer === undefined) {
    if (named === undefined) return undefined;
    throw invalidSetting('MILLRACE_OIDC_ISSUER', 'needed with MILLRACE_OIDC_AUDIENCE: no token is accepted without it');
  }
  if (settings.MILLRACE_PROXY_AUTHENTICATES === 'yes')
    throw invalidSetting(
      'MILLRACE_OIDC_ISSUER',
      'has no effect with MILLRACE_PROXY_AUTHENTICATES=yes: unset one of them',
    );
  checkTenants(issuer, settings);
  const audienceClaim = settings.MILLRACE_OIDC_AUDIENCE_CLAIM;
  // Other claims than `aud` do not have the address of an API.
  const audiences = named ?? (audienceClaim === 'aud' ? resourcesAt(settings.MILLRACE_PUBLIC_URL) : []);
  if (audiences.length === 0) {
    const why = 'without it, tokens that the provider made for any other API would be accepted';
    const instead = audienceClaim === 'aud' ? ', or MILLRACE_PUBLIC_URL' : '';
    throw invalidSetting('MILLRACE_OIDC_AUDIENCE', `needed with MILLRACE_OIDC_ISSUER${instead}: ${why}`);
  }
  return {
    issuer,
    audiences,
    audienceClaim,
    tenant: settings.MILLRACE_OIDC_TENANT,
    tenantClaim: settings.MILLRACE_OIDC_TENANT_CLAIM,
    tenants: settings.MILLRACE_OIDC_TENANTS,
    userClaim: settings.MILLRACE_OIDC_USER_CLAIM,
    pipelinesClaim: settings.MILLRACE_OIDC_PIPELINES_CLAIM,
    permissionClaims: settings.MILLRACE_OIDC_PERMISSIONS_CLAIM ?? PERMISSION_CLAIMS,
    grants: grantsIn(settings.MILLRACE_OIDC_GRANTS ?? []),
    scopePrefix: settings.MILLRACE_OIDC_SCOPE_PREFIX ?? '',
    permissions: (settings.MILLRACE_OIDC_PERMISSIONS ?? []).filter(isPermission),
  };
}

/** Throws `INVALID_SETTING` if it is not certain which tenants' tokens are accepted. */
function checkTenants(issuer: string, settings: TokenSettings): void {
  const { MILLRACE_OIDC_TENANT: one, MILLRACE_OIDC_TENANTS: several, MILLRACE_OIDC_TENANT_CLAIM: claim } = settings;
  if (one !== undefined && (several !== undefined || isOfTenants(issuer)))
    throw invalidSetting(
      'MILLRACE_OIDC_TENANT',
      'is the tenant of all tokens: unset it where tokens are of several tenants',
    );
  if (isForEverybody(issuer) && several === undefined && settings.MILLRACE_OIDC_PERMISSIONS !== undefined)
    throw invalidSetting(
      'MILLRACE_OIDC_PERMISSIONS',
      'would be anybody’s: this issuer makes tokens for whoever asks. Use MILLRACE_OIDC_GRANTS, or name MILLRACE_OIDC_TENANTS',
    );
  if (!isOfTenants(issuer)) return;
  if (several === undefined)
    throw invalidSetting(
      'MILLRACE_OIDC_TENANTS',
      'needed with {tenantid} in MILLRACE_OIDC_ISSUER: anybody can have a tenant there',
    );
  if (claim !== 'tid')
    throw invalidSetting(
      'MILLRACE_OIDC_TENANT_CLAIM',
      'must be tid with {tenantid} in MILLRACE_OIDC_ISSUER: what other claims say is up to each tenant',
    );
}

/** The gateway as clients ask for tokens for it (RFC 8707); some end the address of a host with a slash. */
function resourcesAt(publicUrl: string | undefined): readonly string[] {
  if (publicUrl === undefined) return [];
  const base = withoutSlash(publicUrl);
  return [base, `${base}/`, `${base}/mcp`];
}
