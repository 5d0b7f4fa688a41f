import { isPermission } from '../../gateway/access/permissions.js';
import { ProviderKeys, readProviderKeys, type TokenRules, Tokens } from '../../gateway/index.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { withoutSlash } from '../../runtime/without-slash.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Settings } from '../settings.js';

export type TokenSettings = Pick<
  Settings,
  | 'MILLRACE_OIDC_ISSUER'
  | 'MILLRACE_OIDC_AUDIENCE'
  | 'MILLRACE_OIDC_TENANT'
  | 'MILLRACE_OIDC_TENANT_CLAIM'
  | 'MILLRACE_OIDC_USER_CLAIM'
  | 'MILLRACE_OIDC_PIPELINES_CLAIM'
  | 'MILLRACE_OIDC_PERMISSIONS_CLAIM'
  | 'MILLRACE_OIDC_PERMISSIONS'
  | 'MILLRACE_PROXY_AUTHENTICATES'
  | 'MILLRACE_PUBLIC_URL'
>;

/** Scopes as the standards and most providers name them; `scp` is Okta's and Entra's, `roles` Entra's of applications. */
const PERMISSION_CLAIMS = ['scope', 'scp', 'roles'];

/** Accepts tokens of an identity provider, whose keys are read from now on. */
export const openTokens = (rules: TokenRules, logger: Logger): Tokens =>
  new Tokens(rules, new ProviderKeys((signal) => readProviderKeys(rules.issuer, signal), logger));

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
  const audiences = named ?? resourcesAt(settings.MILLRACE_PUBLIC_URL);
  if (audiences.length === 0) {
    const why = 'without it, tokens that the provider made for any other API would be accepted';
    throw invalidSetting('MILLRACE_OIDC_AUDIENCE', `needed with MILLRACE_OIDC_ISSUER, or MILLRACE_PUBLIC_URL: ${why}`);
  }
  return {
    issuer,
    audiences,
    tenant: settings.MILLRACE_OIDC_TENANT,
    tenantClaim: settings.MILLRACE_OIDC_TENANT_CLAIM,
    userClaim: settings.MILLRACE_OIDC_USER_CLAIM,
    pipelinesClaim: settings.MILLRACE_OIDC_PIPELINES_CLAIM,
    permissionClaims: settings.MILLRACE_OIDC_PERMISSIONS_CLAIM ?? PERMISSION_CLAIMS,
    permissions: (settings.MILLRACE_OIDC_PERMISSIONS ?? []).filter(isPermission),
  };
}

/** The gateway as clients ask for tokens for it (RFC 8707); some end the address of a host with a slash. */
function resourcesAt(publicUrl: string | undefined): readonly string[] {
  if (publicUrl === undefined) return [];
  const base = withoutSlash(publicUrl);
  return [base, `${base}/`, `${base}/mcp`];
}
