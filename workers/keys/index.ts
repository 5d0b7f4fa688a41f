/** The file of API keys, and how the gateway knows its callers by it. */
export { openAccess } from './access.js';
export { changeKeys, readKeys } from './key-file.js';
