import type { Redis } from 'ioredis';
import type { Embedder } from '../activities/cache/index.js';
import { PassageIndex } from '../activities/vector-index/index.js';
import type { Logger } from '../telemetry/logger.js';
import type { Settings } from './settings.js';
import { openStore } from './stores.js';

/** The vector index on its store, over a connection of its own, with a longer timeout than a cache has. */
export function openPassageIndex(
  settings: Settings,
  embedderFor: (name: string) => Embedder,
  logger: Logger,
): { readonly index: PassageIndex; readonly redis: Redis } {
  const redis = openStore(settings, 'index', logger);
  const quota = { passages: settings.MILLRACE_TENANT_PASSAGES, bytes: settings.MILLRACE_TENANT_PASSAGE_BYTES };
  return { index: new PassageIndex({ redis, embedderFor, quota }), redis };
}
