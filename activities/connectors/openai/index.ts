import type { Connector, KeyOf } from '../connector.js';
import { OpenAiBackend } from './backend.js';
import { KIND_HANDLERS } from './kinds.js';

export interface OpenAiOptions {
  /** The key of each endpoint: sent to no other endpoint, and never part of an error or a log line. */
  readonly keyOf: KeyOf;
}

/**
 * Servers of OpenAI's HTTP API: vLLM, llama.cpp, Ollama, OpenAI and others. An endpoint is a base URL that ends in
 * `/v1`. A server need not have every route: calling a missing one is `BACKEND_REJECTED`. Node's fetch fails when a
 * server sends nothing for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout is.
 */
export const openAiConnector = ({ keyOf }: OpenAiOptions): Connector => ({
  name: 'openai',
  kinds: new Set(KIND_HANDLERS.keys()),
  capabilities: new Set(['stream', 'tools', 'structured-output']),
  takesKey: true,
  connect: (endpoint, reference) => new OpenAiBackend(endpoint, keyOf(endpoint, reference)),
});
