import type { Connector } from '../connector.js';
import { TENSOR_KINDS } from '../tensors/index.js';
import { TritonBackend } from './backend.js';
import { type TritonOptions, tritonOptions } from './options.js';

export { TritonClient } from './client.js';

/**
 * NVIDIA Triton and other servers of the KServe v2 gRPC protocol. An endpoint is `host:port`, or `grpcs://host:port` for
 * TLS: its tls and headers are those of the pool, headers as metadata. Tensors are those of the pool's tensor map, by default those of `tensors/defaults.ts`; an `infer` stage states its own.
 */
export const tritonConnector = (): Connector => ({
  name: 'triton',
  kinds: new Set([...TENSOR_KINDS.keys(), 'infer']),
  capabilities: new Set(['stream']),
  takesLink: true,
  loadsModels: true,
  options: tritonOptions,
  connect: (endpoint, _key, options, link) => new TritonBackend(endpoint, options as TritonOptions | undefined, link),
});
