import type { SessionQuota } from '../stores/sessions/index.js';
import type { Settings } from './settings.js';

/** Limits of a tenant's conversations, those of agents and those of clients together. */
export const sessionQuota = (settings: Settings): SessionQuota => ({
  sessions: settings.MILLRACE_TENANT_SESSIONS,
  bytes: settings.MILLRACE_TENANT_SESSION_BYTES,
});
