/** Tokens of the operator's identity provider. */
export { ProviderKeys } from './provider-keys.js';
export { configurationUrlOf, readProviderKeys } from './provider.js';
export { type TokenRules, Tokens } from './tokens.js';
