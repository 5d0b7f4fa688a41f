import type { Connector } from '../connector.js';
import type { Transport } from '../exchange.js';
import { TENSOR_KINDS } from '../tensors/index.js';
import { linked } from '../transport.js';
import { OipRestBackend } from './backend.js';
import { type OipRestOptions, oipRestOptions } from './options.js';

/**
 * Servers of the Open Inference Protocol (KServe v2) over REST: KServe, MLServer, Triton's HTTP port, TorchServe behind
 * KServe. An endpoint is a base URL without the `/v2`. Tensors are those of the pool's tensor map, by default those of `tensors/defaults.ts`.
 *
 * A cancelled call closes its connection; whether the server then stops its work depends on the server (MLServer does
 * not). Node's fetch fails when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout
 * is.
 */
export const oipRestConnector = ({ transport }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'oip-rest',
  kinds: new Set([...TENSOR_KINDS.keys(), 'infer']),
  capabilities: new Set(),
  loadsModels: true,
  options: oipRestOptions,
  takesLink: true,
  connect: (endpoint, _key, options, link) =>
    new OipRestBackend(endpoint, linked(endpoint, link, transport), options as OipRestOptions | undefined),
});
