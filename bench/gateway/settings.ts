import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';

const PORT_BASE = 7720;

/** `llm`: empty for the embedded server. */
export const settingsWith = (llm: string): Settings =>
  readSettings(
    environmentOf({
      name: 'bench-gateway',
      portBase: PORT_BASE,
      more: {
        LLM_BASE_URL: llm,
        MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      },
    }),
  );

/** Port of the LiteLLM proxy: behind those of the stack. */
export const LITELLM_PORT = PORT_BASE + 15;
