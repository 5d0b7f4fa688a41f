import type { Connector } from '../connector.js';
import { KINDS, OpenAiBackend, type OpenAiOptions } from './backend.js';

/**
 * Servers of OpenAI's HTTP API: vLLM, llama.cpp, Ollama, OpenAI and others. An endpoint is a base URL that ends in `/v1`.
 * Node's fetch gives up when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout says.
 */
export const openAiConnector = (options: OpenAiOptions): Connector => ({
  name: 'openai',
  kinds: new Set(KINDS.keys()),
  connect: (endpoint) => new OpenAiBackend(endpoint, options),
});
