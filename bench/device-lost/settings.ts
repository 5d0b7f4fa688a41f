import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = 7740;

export const environment = environmentOf({
  name: 'bench-device-lost',
  portBase: PORT_BASE,
  more: {
    // Temporal keeps its database: runs left by an earlier bench are not counted.
    MILLRACE_TASK_QUEUE: `device-lost-${Date.now().toString(36)}`,
    MILLRACE_LOG_LEVEL: 'warn',
    // Canaries would add calls to the devices.
    MILLRACE_CANARY_INTERVAL_MS: '3600000',
  },
});

export const settingsWith = (more: Readonly<Record<string, string>> = {}): Settings =>
  readSettings({ ...environment, ...more });

/** Ports of a node's Triton and of its worker's metrics, behind those of the stack. */
export const portsOf = (node: number) => {
  const first = PORT_BASE + 20 + 4 * node;
  return { http: first, grpc: first + 1, metrics: first + 2, worker: first + 3 } as const;
};
