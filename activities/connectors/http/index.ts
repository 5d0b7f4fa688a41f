import type { Connector } from '../connector.js';
import type { Transport } from '../exchange.js';
import { HttpBackend } from './backend.js';

/**
 * JSON APIs. An endpoint is a base URL. Requests carry no credentials: an API that requires them belongs behind a proxy
 * that adds them. Node's fetch fails when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's
 * timeout is.
 */
export const httpConnector = ({ transport = fetch }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'http',
  kinds: new Set(['http'] as const),
  capabilities: new Set(),
  connect: (endpoint) => new HttpBackend(endpoint, transport),
});
