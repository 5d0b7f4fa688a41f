export { type DiscoverySettings, type FindEndpoints, listed } from './discovery/index.js';
export { accessAt, connectTo } from './endpoint-client.js';
export { connectorOf, type EndpointConfig, type ModelsConfig, type ModelsFile, parseModels } from './models.js';
export type { Pool } from './pool.js';
export type { CallTarget, UseOptions } from './pool-parts.js';
export { Pools, type PoolsParts } from './pools.js';
export { PoolReports } from './reports.js';
