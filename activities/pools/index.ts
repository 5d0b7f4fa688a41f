export type { DiscoverySettings } from './discovery/index.js';
export { connectorOf, type ModelsConfig, type ModelsFile, parseModels } from './models.js';
export type { CallTarget, Pool, UseOptions } from './pool.js';
export { Pools } from './pools.js';
export { FRESH_MS, type PoolReport, PoolReports } from './reports.js';
