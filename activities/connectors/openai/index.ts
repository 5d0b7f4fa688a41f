import type { Connector } from '../connector.js';
import { OpenAiBackend } from './backend.js';
import { KIND_HANDLERS } from './kinds.js';
import { optionsSchema } from './options.js';

/**
 * Servers of OpenAI's HTTP API: vLLM, llama.cpp, Ollama, OpenAI and others. An endpoint is a base URL that ends in
 * `/v1`. A server need not have every route: calling a missing one is `BACKEND_REJECTED`. Node's fetch fails when a
 * server sends nothing for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout is.
 */
export const openAiConnector = (): Connector => ({
  name: 'openai',
  kinds: new Set(KIND_HANDLERS.keys()),
  capabilities: new Set(['stream', 'tools', 'structured-output']),
  options: () => optionsSchema,
  takesKey: true,
  takesLink: true,
  capacity: 'server',
  connect: (endpoint, key, options, link) => new OpenAiBackend(endpoint, key, optionsSchema.parse(options ?? {}), link),
});
