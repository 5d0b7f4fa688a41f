import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';

/** The ports of the embedded servers begin here: apart from a demo's, the tests' and the benches'. */
const PORT_BASE = 7640;

/** Where the suite's workers find their servers: the proxies stand where Triton and the LLM server would be. */
export const PROXY_PORTS = { triton: PORT_BASE + 14, llm: PORT_BASE + 15 } as const;
export const METRICS_PORTS = { 'worker-a': PORT_BASE + 12, 'worker-b': PORT_BASE + 13 } as const;

/** Servers of the developer's own must not be killed: an empty setting counts as none. */
const OWN = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_UI_URL',
  'REDIS_URL',
  'REDIS_INDEX_URL',
  'REDIS_CACHE_URL',
  'TRITON_URL',
  'LLM_BASE_URL',
  'LLM_API_KEY',
  'LLM_MODEL',
]
  .concat(['MILLRACE_MODELS', 'MILLRACE_LLM_GGUF', 'MILLRACE_LLM_CHAT_TEMPLATE', 'MILLRACE_LOG_LEVEL'])
  .map((name) => [name, '']);

/** The environment of everything that the suite starts. */
export const environment: Readonly<Record<string, string>> = {
  ...Object.fromEntries(OWN),
  MILLRACE_HOME: '.millrace/chaos',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: String(PORT_BASE),
  // Temporal keeps its database: what an earlier suite has left open is not this one's.
  MILLRACE_TASK_QUEUE: `chaos-${Date.now().toString(36)}`,
  MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
};

export const settings = readSettings(environment);
