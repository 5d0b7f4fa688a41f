/** Conversations that go on over several runs, and facts about users, with the quota of their tenant. */
export { FactStore, type FactsName } from './fact-store.js';
export type { SessionQuota } from './quota.js';
export { type SessionName, type SessionPart, SessionStore } from './session-store.js';
