export { type ModelsConfig, parseModels } from './models.js';
export type { Place, Pool } from './pool.js';
export { Pools } from './pools.js';
