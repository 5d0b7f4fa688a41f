import type { Connector } from '../connector.js';
import { TritonBackend } from './backend.js';
import { KIND_HANDLERS } from './kinds.js';

export { TritonClient } from './client.js';

/**
 * NVIDIA Triton and other servers of the KServe v2 gRPC protocol. An endpoint is `host:port`, or `grpcs://host:port` for
 * TLS. Tensor names and shapes are those of the file of each stage kind; models have a batch dimension. An `infer` stage
 * states its own.
 */
export const tritonConnector = (): Connector => ({
  name: 'triton',
  kinds: new Set(KIND_HANDLERS.keys()),
  capabilities: new Set(['stream']),
  connect: (endpoint) => new TritonBackend(endpoint),
});
