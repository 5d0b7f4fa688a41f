import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

/**
 * Heap of the gateway and the worker, in MiB; small, because V8 returns memory only under pressure and the bench
 * measures memory in use.
 */
const HEAP_MB = 128;
process.env.NODE_OPTIONS = `--max-old-space-size=${HEAP_MB}`;

export const settings = readSettings(
  environmentOf({
    name: 'bench-sse',
    portBase: 7620,
    more: {
      MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      // A log line for each of some thousand requests would be a load of its own.
      MILLRACE_LOG_LEVEL: 'warn',
    },
  }),
);
