import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';
import { CHAT_TEMPLATE } from './weights.js';

/** Servers of the developer's own do not call tools as these weights do: an empty setting counts as none. */
const OWN = Object.fromEntries(
  [
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
    .concat(['MILLRACE_MODELS', 'MILLRACE_LOG_LEVEL'])
    .map((name) => [name, '']),
);

export const HOME = path.resolve('.millrace/bench-agent');

/** The bench's own stack, apart from a demo's, the tests' and the other benches'. */
export const settingsWith = (weights?: string): Settings =>
  readSettings({
    ...OWN,
    MILLRACE_HOME: HOME,
    MILLRACE_VENV: '.millrace/venv',
    MILLRACE_PORT_BASE: '7680',
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipeline.js', import.meta.url)),
    MILLRACE_LLM_GGUF: weights ?? '',
    MILLRACE_LLM_CHAT_TEMPLATE: CHAT_TEMPLATE,
  });
