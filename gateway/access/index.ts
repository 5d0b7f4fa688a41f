/** Authentication, permissions and rate limits. */
export { type ApiKey, apiKeySchema, isActive, issueKey, type KeyRing, keyRing, PERMISSIONS } from './api-key.js';
export { type Access, Authenticator, type TenantLimits } from './authenticator.js';
export { RequestRate } from './request-rate.js';
