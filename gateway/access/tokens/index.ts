/** Tokens of the operator's identity provider. Loaded only by gateways that have one: a library of cryptography comes with it. */
export { ProviderKeys } from './provider-keys.js';
export { type TokenRules, Tokens } from './tokens.js';
