import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';
import { CHAT_TEMPLATE } from './weights.js';

export const settingsWith = (weights = ''): Settings =>
  readSettings(
    environmentOf({
      name: 'bench-agent',
      portBase: 7680,
      more: {
        MILLRACE_PIPELINES: fileURLToPath(new URL('./pipeline.js', import.meta.url)),
        MILLRACE_LLM_GGUF: weights,
        MILLRACE_LLM_CHAT_TEMPLATE: CHAT_TEMPLATE,
      },
    }),
  );
