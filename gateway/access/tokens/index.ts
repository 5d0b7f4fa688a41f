/** Tokens of the operator's identity provider. */

export { configurationUrlOf } from './issuer.js';
export { readProviderKeys } from './provider.js';
export { ProviderKeys } from './provider-keys.js';
export { type TokenRules, Tokens } from './tokens.js';
