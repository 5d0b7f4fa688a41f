export { SessionStore } from './session-store.js';
export { sessionKind } from './worker-kind.js';
