import type { Logger } from 'pino';
import { ProviderKeys, type TokenRules, Tokens } from '../../gateway/access/tokens/index.js';
import { readProviderKeys } from '../../gateway/index.js';
import { AUDIENCE, type OidcIssuer } from './oidc-issuer.js';

/** Accepts the tokens of an issuer by the default settings, but for what is given. */
export function tokensOf({ url }: Pick<OidcIssuer, 'url'>, logger: Logger, more: Partial<TokenRules> = {}): Tokens {
  const rules: TokenRules = {
    issuer: url,
    audiences: [AUDIENCE],
    audienceClaim: 'aud',
    tenantClaim: 'tenant',
    userClaim: 'sub',
    permissionClaims: ['scope', 'scp', 'roles'],
    grants: new Map(),
    scopePrefix: '',
    permissions: [],
    ...more,
  };
  return new Tokens(rules, new ProviderKeys((signal) => readProviderKeys(url, signal), logger));
}
