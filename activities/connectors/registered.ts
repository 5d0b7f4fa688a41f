import type { Backend, Capability, Connector, Joining, Link, PoolOptions } from './connector.js';

/**
 * Where a secret is stored: never the secret itself, because the models file is read, printed and stored elsewhere.
 */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** Where a pool's key is. A key of several parts is JSON: in a file, or each part in a variable of its own. */
export type KeyReference = SecretReference | { readonly env: Readonly<Record<string, string>> };

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** How the endpoints of a pool are reached; reads the files and the environment. Throws `INVALID_SETTING`. */
export type LinkOf = (pool: Pick<PoolAccess, 'tls' | 'headers' | 'serverName'>) => Link | undefined;

/** The key that is sent to an endpoint; undefined: none. */
export type KeyOf = (endpoint: string, reference?: KeyReference) => string | undefined;

/** What a connector takes of a pool, besides the address of an endpoint. */
export interface PoolAccess {
  readonly kind: string;
  readonly apiKey?: KeyReference | undefined;
  /** Files of TLS, and headers with where their values are. */
  readonly tls?: TlsFiles | undefined;
  readonly headers?: Readonly<Record<string, string | SecretReference>> | undefined;
  /** Name of the server, where the endpoint is one of its addresses. */
  readonly serverName?: string | undefined;
  /** As written in the models file. */
  readonly options?: PoolOptions | undefined;
}

/** A connector of a deployment, which takes a pool's reference to its key and its options as written. */
export interface RegisteredConnector extends Omit<Connector, 'connect' | 'options' | 'capabilitiesOf' | 'joins'> {
  /** Of a pool, where they are not `capabilities`. Throws `INVALID_SETTING` for options that do not fit. */
  capabilitiesOf?(pool: PoolAccess): ReadonlySet<Capability>;
  /** Whether the pool's calls can go out together. Throws `INVALID_SETTING` for options that do not fit. */
  joins?(pool: PoolAccess): Joining | undefined;
  /** Checks a pool's options. Throws `INVALID_SETTING` naming each wrong field, below `at`. */
  check(pool: PoolAccess, at: string): void;
  /** Throws `INVALID_SETTING` if the key's reference cannot be resolved, or for options that do not fit. */
  connect(endpoint: string, pool?: PoolAccess): Backend;
}

/** By name. */
export type Connectors = ReadonlyMap<string, RegisteredConnector>;

/** What two pools of a server must have in common to share a client; the kind matters only to options. */
export const shared = ({ kind, apiKey, serverName, tls, headers, options }: PoolAccess): string =>
  JSON.stringify([apiKey, serverName, tls, headers, options && { kind, options }]);
