/** The file of API keys, and the authentication of callers with it. */
export { openAccess } from './access.js';
export { changeKeys, readKeys } from './key-file.js';
