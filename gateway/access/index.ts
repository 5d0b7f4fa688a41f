/** Authentication, permissions and rate limits. */
export { type ApiKey, apiKeySchema, isActive, issueKey, type KeyRing, keyRing } from './api-key.js';
export { type Access, Authenticator, type TenantLimits } from './authenticator.js';
export { PERMISSIONS } from './permissions.js';
export { RequestRate } from './request-rate.js';
export type { TokenRules, Tokens } from './tokens/index.js';
export { readProviderKeys } from './tokens/provider.js';
