import type { Redis } from 'ioredis';
import { createRedis, type Embedder } from '../activities/cache/index.js';
import type { Logger } from '../activities/logger.js';
import { PassageIndex } from '../activities/vector-index/index.js';
import { endpointsOf } from './endpoints.js';
import type { Settings } from './settings.js';

/** The vector index on the Redis of the settings, over a connection of its own: it waits longer than a cache does. */
export function openPassageIndex(
  settings: Settings,
  embedderFor: (name: string) => Embedder,
  logger: Logger,
): { readonly index: PassageIndex; readonly redis: Redis } {
  const redis = createRedis({
    url: endpointsOf(settings).redis,
    timeoutMs: settings.MILLRACE_INDEX_TIMEOUT_MS,
    logger,
  });
  return { index: new PassageIndex({ redis, embedderFor }), redis };
}
