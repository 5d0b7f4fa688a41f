/**
 * Stands in an issuer for the tenant that each token names (`tid`), as in the document that Entra publishes for all its
 * tenants.
 */
const TENANT_ID = '{tenantid}';
/** Google's documents allow both in its tokens. */
const GOOGLE = ['https://accounts.google.com', 'accounts.google.com'];
/** They make tokens for any audience, for the programs of whoever has an account there. */
const FOR_EVERYBODY = [...GOOGLE, 'https://token.actions.githubusercontent.com', 'https://gitlab.com'];

/** Whether anybody can get tokens for this gateway. */
export const isForEverybody = (issuer: string): boolean => FOR_EVERYBODY.includes(issuer);

/** Whether an issuer stands for one issuer of each tenant of a provider. */
export const isOfTenants = (issuer: string): boolean => issuer.includes(TENANT_ID);

/** The issuer of a tenant's tokens. */
export const issuerOfTenant = (issuer: string, tenant: string): string => issuer.replace(TENANT_ID, () => tenant);

/** What `iss` of a token may be. */
export function issuersOf(issuer: string, tenants: readonly string[] = []): readonly string[] {
  if (isOfTenants(issuer)) return tenants.map((tenant) => issuerOfTenant(issuer, tenant));
  return issuer === GOOGLE[0] ? GOOGLE : [issuer];
}

/** The issuer as an address that can be read: what all tenants share is at `common`. */
export const addressOf = (issuer: string): string => issuerOfTenant(issuer, 'common');

/** Where a provider describes itself (OpenID Connect Discovery 1.0 §4). */
export const configurationUrlOf = (issuer: string): string =>
  `${addressOf(issuer).replace(/\/$/, '')}/.well-known/openid-configuration`;
