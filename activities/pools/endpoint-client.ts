import type { Backend } from '../connectors/connector.js';
import type { PoolAccess, RegisteredConnector } from '../connectors/registered.js';
import type { EndpointConfig } from './models.js';

/** What a connector takes of a pool at one of its endpoints: with the name of the endpoint's server, if it has one. */
export const accessAt = ({ serverName }: Pick<EndpointConfig, 'serverName'>, pool: PoolAccess): PoolAccess =>
  serverName === undefined ? pool : { ...pool, serverName };

/** A client of one endpoint of a pool. Throws `INVALID_SETTING`, as `RegisteredConnector.connect`. */
export const connectTo = (
  connector: RegisteredConnector,
  endpoint: Pick<EndpointConfig, 'url' | 'serverName'>,
  pool: PoolAccess,
): Backend => connector.connect(endpoint.url, accessAt(endpoint, pool));
