import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';

/** Servers of the developer's own must not take part: an empty setting counts as none. */
const OWN = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_UI_URL',
  'REDIS_URL',
  'REDIS_INDEX_URL',
  'REDIS_CACHE_URL',
  'TRITON_URL',
  'LLM_BASE_URL',
  'MILLRACE_MODELS',
];

/**
 * Heap of the gateway and the worker, in MiB, a small one: V8 gives nothing back until it has to, and what is measured is to be
 * what they hold.
 */
const HEAP_MB = 128;
process.env.NODE_OPTIONS = `--max-old-space-size=${HEAP_MB}`;

/** The bench's own stack, apart from a demo's, the tests' and the other benches'. */
export const settings = readSettings({
  ...Object.fromEntries(OWN.map((name) => [name, ''])),
  MILLRACE_HOME: '.millrace/bench-sse',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: '7620',
  MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
  // A line for each of some thousand requests is work of its own.
  MILLRACE_LOG_LEVEL: 'warn',
});
