/** Which run the latest of equal requests has started. */
export { type LatestRuns, RedisLatestRuns } from './latest-runs.js';
