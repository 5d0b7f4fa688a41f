/** Models that workers load on demand and unload again, within the memory of their servers. */

export type { Worth } from './policy.js';
export { isLoading, Residency } from './residency.js';
export { ServerModels } from './server-models.js';
