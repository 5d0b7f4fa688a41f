import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

/**
 * Heap of the gateway and the worker, in MiB, a small one: V8 gives nothing back until it has to, and what is measured is to be
 * what they hold.
 */
const HEAP_MB = 128;
process.env.NODE_OPTIONS = `--max-old-space-size=${HEAP_MB}`;

export const settings = readSettings(
  environmentOf({
    name: 'bench-sse',
    portBase: 7620,
    more: {
      MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      // A line for each of some thousand requests is work of its own.
      MILLRACE_LOG_LEVEL: 'warn',
    },
  }),
);
