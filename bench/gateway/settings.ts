import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';

/** Servers of the developer's own must not take part: an empty setting counts as none. */
const OWN = [
  'TEMPORAL_ADDRESS',
  'TEMPORAL_UI_URL',
  'REDIS_URL',
  'REDIS_INDEX_URL',
  'REDIS_CACHE_URL',
  'TRITON_URL',
  'LLM_API_KEY',
].concat(['LLM_MODEL', 'MILLRACE_MODELS']);

/** The bench's own stack, apart from a demo's, the tests' and the other benches'. `llm`: empty for the embedded server. */
export const settingsWith = (llm: string): Settings =>
  readSettings({
    ...Object.fromEntries(OWN.map((name) => [name, ''])),
    LLM_BASE_URL: llm,
    MILLRACE_HOME: '.millrace/bench-gateway',
    MILLRACE_VENV: '.millrace/venv',
    MILLRACE_PORT_BASE: '7720',
    MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
  });

/** Of the LiteLLM proxy: behind those of the stack. */
export const LITELLM_PORT = 7735;
