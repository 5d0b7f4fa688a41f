/** The file of API keys, the identity provider, and the authentication of callers with them. */
export { expectKeysOrProxy, openAccess } from './access.js';
export { changeKeys, readKeys } from './key-file.js';
export { tokenRules } from './tokens.js';
