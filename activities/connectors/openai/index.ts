import type { Connector } from '../connector.js';
import { OpenAiBackend, type OpenAiOptions } from './backend.js';
import { KINDS } from './kinds.js';

/**
 * Servers of OpenAI's HTTP API: vLLM, llama.cpp, Ollama, OpenAI and others. An endpoint is a base URL that ends in `/v1`.
 * A server need not have every route: one that it lacks is `BACKEND_REJECTED` when it is called. Node's fetch gives up when
 * a server sends nothing for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout says.
 */
export const openAiConnector = (options: OpenAiOptions): Connector => ({
  name: 'openai',
  kinds: new Set(KINDS.keys()),
  capabilities: new Set(['stream', 'tools', 'structured-output']),
  connect: (endpoint) => new OpenAiBackend(endpoint, options),
});
