import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { invalidSetting } from '../pipelines/invalid-setting.js';
import { connected, createRedis, readStoreState, StoreWatch } from '../stores/redis/index.js';
import type { Logger } from '../telemetry/logger.js';
import { endpointsOf } from './endpoints.js';
import type { Settings } from './settings.js';

/** Roles of a Redis: `state` and `index` never evict, `cache` may. */
export type StoreRole = 'state' | 'index' | 'cache';

/** The setting with the user's own server for a role. */
export const STORE_SETTINGS = {
  state: 'REDIS_URL',
  index: 'REDIS_INDEX_URL',
  cache: 'REDIS_CACHE_URL',
} as const satisfies Record<StoreRole, keyof Settings>;

/**
 * Longest wait for a store at a process's start, in milliseconds; a store that has not answered by then is checked
 * later.
 */
const START_MS = 2_000;

export const storeUrl = (settings: Settings, role: StoreRole): string => endpointsOf(settings)[urlOf[role]];

const urlOf = { state: 'redis', index: 'redisIndex', cache: 'redisCache' } as const;

/** Opens a connection to the store of a role: the only place where Millrace's processes open one. */
export const openStore = (
  settings: Settings,
  role: StoreRole,
  logger: Logger,
  timeoutMs = role === 'index' ? settings.MILLRACE_INDEX_TIMEOUT_MS : settings.MILLRACE_REDIS_TIMEOUT_MS,
): Redis => createRedis({ url: storeUrl(settings, role), timeoutMs, logger, store: role });

export interface WatchedStores {
  readonly state: StoreWatch;
  stop(): void;
}

/**
 * Watches the stores that must not evict. Throws `INVALID_SETTING` if one of them may, or if the cache is on the server
 * of one: its entries would fill that server's memory.
 */
export async function watchStores(
  settings: Settings,
  redis: { readonly state: Redis; readonly index?: Redis; readonly cache?: Redis },
  { logger, registry }: { readonly logger: Logger; readonly registry: Registry },
): Promise<WatchedStores> {
  const watch = (role: 'state' | 'index', client: Redis) =>
    new StoreWatch({
      role,
      redis: client,
      setting: STORE_SETTINGS[role],
      acceptUnseen: settings.MILLRACE_STORE_POLICY_UNSEEN === 'accept',
      logger,
      registry,
    });
  const state = watch('state', redis.state);
  const index = redis.index && watch('index', redis.index);
  const stop = () => {
    state.stop();
    index?.stop();
  };
  const all = [redis.state, redis.index, redis.cache].filter((client) => client !== undefined);
  await Promise.all(all.map((client) => connected(client, START_MS)));
  try {
    const kept = [await state.start(), await index?.start()];
    const cache = redis.cache && (await readStoreState(redis.cache).catch(() => undefined));
    if (cache?.server !== undefined && kept.some((state) => state?.server === cache.server)) refuseShared();
    return { state, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

function refuseShared(): never {
  const message =
    'the semantic cache shares a Redis with the state or the index and would fill its memory; give it a server of its own';
  throw invalidSetting('REDIS_CACHE_URL', message);
}
