/** Connections to Redis, scripts, vector sets, checks of a store's configuration, and classification of its errors. */

export { cacheKeysOf, cachePrefix } from './cache-prefix.js';
export { ERASED_MS, erasableKey, erasedKey, ifErasedSince, NOW, noteErasable } from './erasable.js';
export { keySegment } from './key-segment.js';
export { LossWatch } from './loss-watch.js';
export { reachedFor } from './reached.js';
export { connected, createRedis, oneShotRedis } from './redis-client.js';
export { isFull, isGone } from './refusals.js';
export { script } from './script.js';
export { mayEvict, readStoreState, type StoreState } from './store-state.js';
export { StoreWatch } from './store-watch.js';
export {
  lacksVectorSets,
  probeVectorSets,
  QUANTISATION,
  serverName,
  VectorSets,
  vectorBytes,
} from './vector-set.js';
