import { fileURLToPath } from 'node:url';
import { readSettings, type Settings } from '../../workers/settings.js';
import { environmentOf } from '../own-stack.js';
import { CHAT_TEMPLATE } from './weights.js';

const PORT_BASE = Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7680);

/** Requests that the embedded server decodes concurrently. */
export const IN_FLIGHT = 4;

const settingsOf = (pipelines: string, more: Readonly<Record<string, string>>): Settings =>
  readSettings(
    environmentOf({
      name: 'bench-agent',
      portBase: PORT_BASE,
      more: { MILLRACE_PIPELINES: fileURLToPath(new URL(pipelines, import.meta.url)), ...more },
    }),
  );

/** For the embedded server with the model that calls tools; without weights for their installation. */
export const settingsWith = (
  weights = '',
  {
    pipelines = './pipeline.js',
    ...more
  }: { readonly pipelines?: string; readonly MILLRACE_LLM_CONTEXT?: string } = {},
): Settings =>
  settingsOf(pipelines, { MILLRACE_LLM_GGUF: weights, MILLRACE_LLM_CHAT_TEMPLATE: CHAT_TEMPLATE, ...more });

/** For a server of chat completions that stands elsewhere. */
export const settingsFor = (llm: string): Settings => settingsOf('./against/pipelines.js', { LLM_BASE_URL: llm });
