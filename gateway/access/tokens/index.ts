/** Tokens of the operator's identity provider. */

export { configurationUrlOf, readProviderKeys } from './provider.js';
export { ProviderKeys } from './provider-keys.js';
export { type TokenRules, Tokens } from './tokens.js';
