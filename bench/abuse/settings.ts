import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = 7780;
const HOME = path.resolve('.millrace/abuse');
const MEBIBYTE = 1024 * 1024;

/** Port of the gateway for the proxy attack: behind the ports of the stack. */
export const PROXIED_PORTS = { http: PORT_BASE + 12, grpc: PORT_BASE + 13 } as const;
export const MODELS = path.join(HOME, 'models.json');
export const KEYS = path.join(HOME, 'keys.json');

/** Small quotas, so that an attack reaches them with a few calls. */
export const QUOTAS = { sessions: 20, passages: 100, stageMediaBytes: 4 * MEBIBYTE } as const;

export const environment = environmentOf({
  name: 'abuse',
  portBase: PORT_BASE,
  more: {
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
    MILLRACE_MODELS: MODELS,
    MILLRACE_KEYS: KEYS,
    // A log line for each of some hundred thousand requests would be a load of its own.
    MILLRACE_LOG_LEVEL: 'warn',
    MILLRACE_TENANT_SESSIONS: String(QUOTAS.sessions),
    MILLRACE_TENANT_PASSAGES: String(QUOTAS.passages),
    MILLRACE_MAX_STAGE_MEDIA_BYTES: String(QUOTAS.stageMediaBytes),
    // Canaries would add calls to the models.
    MILLRACE_CANARY_INTERVAL_MS: '3600000',
  },
});

export const settings = readSettings(environment);
