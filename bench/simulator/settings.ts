import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

export const HOME = path.resolve('.millrace/bench-simulator');
/** The models that both pipelines name, the invented ones and the embedded ones. */
export const MODELS = path.join(HOME, 'models.json');

export const settings: Settings = readSettings(
  environmentOf({
    name: 'bench-simulator',
    portBase: 7740,
    more: {
      MILLRACE_LOG_LEVEL: 'warn',
      MILLRACE_MODELS: MODELS,
      MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      // All models share the processors: a call with one thread occupies one of them, as the simulator assumes.
      MILLRACE_MODEL_THREADS: '1',
      // Canaries would add calls to the models.
      MILLRACE_CANARY_INTERVAL_MS: '3600000',
    },
  }),
);
