export { type ModelsConfig, parseModels } from './models.js';
export type { CallTarget, Pool, UseOptions } from './pool.js';
export { Pools } from './pools.js';
export { type PoolReport, PoolReports, TOLD_MS } from './reports.js';
