import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7900);

/** Ports behind those of the stack: the taps in front of the model servers, and the workers' probes. */
export const TAPS = { triton: PORT_BASE + 14, llm: PORT_BASE + 15 } as const;
export const PROBES = { 'worker-a': PORT_BASE + 12, 'worker-b': PORT_BASE + 13 } as const;

/** The environment of all processes that the suite starts. */
export const environment = environmentOf({
  name: 'streams-chaos',
  portBase: PORT_BASE,
  more: {
    // Temporal keeps its database: runs left open by an earlier suite are not taken up.
    MILLRACE_TASK_QUEUE: `streams-${Date.now().toString(36)}`,
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
    // Threads that wait for each other lose most where the machine does other work too.
    MILLRACE_MODEL_THREADS: process.env.MILLRACE_MODEL_THREADS ?? '1',
  },
});

export const settings = readSettings(environment);
