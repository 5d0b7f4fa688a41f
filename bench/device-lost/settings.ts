import { readSettings, type Settings } from '../../workers/settings.js';

const PORT_BASE = 7740;

/** Servers of the developer's own are left alone: an empty setting counts as none. */
const OWN = [
  'TEMPORAL_ADDRESS',
  'REDIS_URL',
  'REDIS_INDEX_URL',
  'REDIS_CACHE_URL',
  'TRITON_URL',
  'LLM_BASE_URL',
  'MILLRACE_PLACEMENT',
  'MILLRACE_DEVICES',
];

/** The bench's own stack, apart from a demo's, the tests' and the other benches'. */
export const environment: Readonly<Record<string, string>> = {
  ...Object.fromEntries(OWN.map((name) => [name, ''])),
  MILLRACE_HOME: '.millrace/bench-device-lost',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: String(PORT_BASE),
  // Temporal keeps its database: runs that an earlier bench has left are not this one's.
  MILLRACE_TASK_QUEUE: `device-lost-${Date.now().toString(36)}`,
  MILLRACE_LOG_LEVEL: 'warn',
  // Canaries would be calls of the devices.
  MILLRACE_CANARY_INTERVAL_MS: '3600000',
};

export const settingsWith = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings({ ...environment, ...more });

/** Ports of a node's Triton and of its worker's metrics, behind those of the stack. */
export const portsOf = (node: number) => {
  const first = PORT_BASE + 20 + 4 * node;
  return { http: first, grpc: first + 1, metrics: first + 2, worker: first + 3 } as const;
};
