import { z } from 'zod';
import { bytes } from './fields.js';

/** The embedded stack. */
export const STACK_SETTINGS = {
  MILLRACE_REDIS_STATE_BYTES: bytes(
    'Memory of the embedded Redis for state: some 10 000 runs with their records. When it is full new runs are rejected.',
    512 * 1024 * 1024,
  ),
  MILLRACE_REDIS_INDEX_BYTES: bytes(
    'Memory of the embedded Redis for vector indexes: some 100 000 passages. When it is full new passages are rejected.',
    512 * 1024 * 1024,
  ),
  MILLRACE_REDIS_CACHE_BYTES: bytes(
    'Memory of the embedded Redis for the semantic cache. When it is full the least recently used answers are evicted.',
    256 * 1024 * 1024,
  ),
  MILLRACE_PYTHON: z
    .string()
    .optional()
    .describe('Python 3.10–3.12 for the embedded servers; default: the first suitable one on PATH, else from uv.'),
  MILLRACE_LLM_GGUF: z
    .string()
    .optional()
    .describe('GGUF file for the embedded LLM server; default: SmolLM2-135M-Instruct.'),
  MILLRACE_MODEL_THREADS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe(
      'Threads of each embedded model; default: the best number for its server alone, at most 4. If models share the processors fewer may be faster: threads that wait for each other also wait for other models.',
    ),
  MILLRACE_LLM_CONTEXT: z.coerce
    .number()
    .int()
    .min(512)
    .default(4096)
    .describe('Context size in tokens for each of the 4 requests that the embedded LLM server decodes concurrently.'),
  MILLRACE_LLM_CHAT_TEMPLATE: z
    .string()
    .optional()
    .describe('Jinja chat template for the embedded LLM server; default: the one in the weights.'),
};
