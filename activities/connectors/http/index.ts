import type { Connector } from '../connector.js';
import type { Transport } from '../exchange.js';
import { linked } from '../transport.js';
import { HttpBackend } from './backend.js';

/**
 * JSON APIs. An endpoint is a base URL. Credentials are headers of the pool. Node's fetch fails when a server sends no header for 300 s (`BACKEND_TIMEOUT`), whatever the stage's
 * timeout is.
 */
export const httpConnector = ({ transport }: { readonly transport?: Transport } = {}): Connector => ({
  name: 'http',
  kinds: new Set(['http'] as const),
  capabilities: new Set(),
  takesLink: true,
  connect: (endpoint, _key, _options, link) => new HttpBackend(endpoint, linked(endpoint, link, transport)),
});
