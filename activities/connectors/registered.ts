import type { Backend, Connector } from './connector.js';

/**
 * Where a pool's key is stored: never the key itself, because the models file is read, printed and stored elsewhere.
 */
export type KeyReference = { readonly env: string } | { readonly file: string };

/** The key that is sent to an endpoint; undefined: none. */
export type KeyOf = (endpoint: string, reference?: KeyReference) => string | undefined;

/** A connector of a deployment, which takes a pool's reference to its key. */
export interface RegisteredConnector extends Omit<Connector, 'connect'> {
  /** Throws `INVALID_SETTING` if the reference cannot be resolved. */
  connect(endpoint: string, key?: KeyReference): Backend;
}

/** By name. */
export type Connectors = ReadonlyMap<string, RegisteredConnector>;
