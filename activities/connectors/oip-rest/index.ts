import type { Connector } from '../connector.js';
import type { Transport } from '../exchange.js';
import { OipRestBackend } from './backend.js';
import { KIND_HANDLERS } from './kinds.js';

/**
 * Servers of the Open Inference Protocol (KServe v2) over REST: KServe, MLServer, Triton's HTTP port, TorchServe behind
 * KServe. An endpoint is a base URL without the `/v2`. Tensor names and shapes are those of the file of each stage kind.
 *
 * A cancelled call closes its connection; whether the server then stops its work depends on the server (MLServer does
 * not). Node's fetch fails when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's timeout
 * is.
 */
export const oipRestConnector = ({ transport = fetch }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'oip-rest',
  kinds: new Set(KIND_HANDLERS.keys()),
  capabilities: new Set(),
  connect: (endpoint) => new OipRestBackend(endpoint, transport),
});
