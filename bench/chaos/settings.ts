import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = 7640;

/**
 * Ports behind those of the stack: the proxies in place of Triton and the LLM server for all workers, and the links by
 * which one worker reaches Redis and Temporal, and the first of them the LLM server; a second LLM server.
 */
export const PROXY_PORTS = { triton: PORT_BASE + 14, llm: PORT_BASE + 15 } as const;
export const LINK_PORTS = { redis: PORT_BASE + 16, temporal: PORT_BASE + 17, llm: PORT_BASE + 18 } as const;
export const REPLICA_PORT = PORT_BASE + 19;
export const METRICS_PORTS = {
  'worker-a': PORT_BASE + 12,
  'worker-b': PORT_BASE + 13,
  'worker-old': PORT_BASE + 20,
} as const;

/** The environment of all processes that the suite starts. */
export const environment = environmentOf({
  name: 'chaos',
  portBase: PORT_BASE,
  more: {
    // Temporal keeps its database: runs left open by an earlier suite are not counted.
    MILLRACE_TASK_QUEUE: `chaos-${Date.now().toString(36)}`,
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
  },
});

export const settings = readSettings(environment);
