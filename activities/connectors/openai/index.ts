import type { Connector } from '../connector.js';
import { OpenAiBackend } from './backend.js';
import { KIND_HANDLERS } from './kinds.js';
import { type OpenAiOptions, optionsSchema } from './options.js';

/** Whether requests may have a header or a salt of their tenant. */
const tellsTenant = ({ cacheSalt, router }: OpenAiOptions): boolean => cacheSalt === 'tenant' || router !== undefined;

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
  joins: (kind, options) =>
    kind === 'embed' ? { tenants: tellsTenant(optionsSchema.parse(options ?? {})) ? 'apart' : 'together' } : undefined,
  takesKey: true,
  takesLink: true,
  capacity: 'server',
  connect: (endpoint, key, options, link) => new OpenAiBackend(endpoint, key, optionsSchema.parse(options ?? {}), link),
});
