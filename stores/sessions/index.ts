/** Conversations that go on over several runs, with the quota of their tenant. */
export { type SessionName, type SessionPart, type SessionQuota, SessionStore } from './session-store.js';
