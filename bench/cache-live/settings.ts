import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const HOME = path.resolve('.millrace/bench-cache-live');
export const KEYS = path.join(HOME, 'keys.json');
/** The true answer to each text, which the pipeline's function returns. */
export const ANSWERS = path.join(HOME, 'answers.json');

const environment = environmentOf({
  name: 'bench-cache-live',
  portBase: Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7820),
  more: {
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
    MILLRACE_KEYS: KEYS,
    MILLRACE_LOG_LEVEL: 'warn',
  },
});

export const settings = readSettings(environment);
