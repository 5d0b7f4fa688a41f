import type { Redis } from 'ioredis';
import { addressOf } from '../../deploy/local/stack/addresses.js';
import {
  mayEvict,
  oneShotRedis,
  probeVectorSets,
  readStoreState,
  type StoreState,
  serverName,
} from '../../stores/redis/index.js';
import type { Settings } from '../../workers/settings.js';
import { STORE_SETTINGS, type StoreRole, storeUrl } from '../../workers/stores.js';
import { clockFinding } from './clock.js';
import { type Check, errorText, type Finding, fail, pass, warn } from './finding.js';
import { writeFinding } from './redis-write.js';

/**
 * Timeout of a connection and of one command, in milliseconds: far above normal (< 10 ms), below the timeout of a
 * check.
 */
const ANSWER_MS = 3_000;

/** Used share of `maxmemory` from which Redis counts as nearly full: a burst of answers fills the rest. */
const NEARLY_FULL = 0.9;

/** One check per server: the same one may serve state and indexes. */
export function redisChecks(settings: Settings): readonly Check[] {
  const roles = ['state', 'index', 'cache'] as const;
  const servers = new Map<string, StoreRole[]>();
  for (const role of roles) {
    const url = storeUrl(settings, role);
    servers.set(url, [...(servers.get(url) ?? []), role]);
  }
  const kept = [...servers].filter(([, of]) => of.some((role) => role !== 'cache')).map(([url]) => url);
  return [...servers].map(([url, of]) => redisCheck(settings, url, of, of.includes('cache') ? kept : []));
}

/** What to do about a cache that shares a server. */
const OWN_CACHE = 'set REDIS_CACHE_URL to a server of its own: databases of one server share its memory';

const PARTS = { state: 'redis', index: 'redis-index', cache: 'redis-cache' } as const;

/** @param apart addresses of other stores that must not be on the same server */
function redisCheck(settings: Settings, url: string, roles: readonly StoreRole[], apart: readonly string[]): Check {
  const [first = 'state'] = roles;
  const about = addressOf(PARTS[first], settings);
  const setting = STORE_SETTINGS[first];
  const remedy =
    settings[setting] === undefined
      ? `start it with "millrace up", or set ${setting} to your own`
      : `start it, or correct ${setting}`;
  const acceptUnseen = settings.MILLRACE_STORE_POLICY_UNSEEN === 'accept';
  return {
    id: 'redis.reachable',
    about,
    remedy,
    run: (signal) =>
      withRedis(url, signal, (redis) => checkOne(redis, { about, roles, setting, acceptUnseen, apart }, signal)),
  };
}

/** The result of work on a connection of its own, which is closed after it, or when the signal aborts. */
async function withRedis<T>(url: string, signal: AbortSignal, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = oneShotRedis(url, ANSWER_MS);
  let reason: Error | undefined;
  redis.on('error', (error: Error) => {
    reason ??= error;
  });
  const close = () => redis.disconnect();
  signal.addEventListener('abort', close, { once: true });
  try {
    await redis.connect();
    return await work(redis);
  } catch (error) {
    // The client's own error only says that the connection is closed; the event has the reason.
    throw reason ?? error;
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

/** Whether a server has one of these addresses. One that cannot be reached, or does not say who it is, is taken for another. */
async function isOneOf(urls: readonly string[], server: string | undefined, signal: AbortSignal): Promise<boolean> {
  if (server === undefined) return false;
  const others = await Promise.all(
    urls.map((url) => withRedis(url, signal, readStoreState).catch((): StoreState => ({}))),
  );
  return others.some((other) => other.server === server);
}

interface CheckedRedis {
  readonly about: string;
  readonly roles: readonly StoreRole[];
  readonly setting: string;
  readonly acceptUnseen: boolean;
  /** Addresses of stores that must not be on the same server under another address or database. */
  readonly apart: readonly string[];
}

async function checkOne(
  redis: Redis,
  { about, roles, setting, acceptUnseen, apart }: CheckedRedis,
  signal: AbortSignal,
): Promise<Finding[]> {
  const started = performance.now();
  const text = await redis.info().catch(unlessAway);
  const ms = performance.now() - started;
  const info = fieldsOf(text);
  const server = serverName(text);
  const kept = roles.filter((role) => role !== 'cache');
  const store = await readStoreState(redis);
  const shares = (roles.length > kept.length && kept.length > 0) || (await isOneOf(apart, store.server, signal));
  return [
    pass('redis.reachable', about, `${server} for ${roles.join(' and ')}${programOf(info)}`, ms),
    await writable(redis, about, info, { setting, roles }),
    ...(roles.some((role) => role !== 'state') ? [await vectorSets(redis, about, server)] : []),
    shares
      ? fail('redis.eviction', about, 'the cache shares it with what must not be evicted', OWN_CACHE)
      : kept.length > 0
        ? keeps(about, store, acceptUnseen)
        : makesRoom(about, store),
    memory(about, store),
    ...(kept.length > 0 ? [persistence(about, store)] : []),
    await clockFinding(redis, about),
  ];
}

/** A server may forbid `INFO`; its content is then unknown. */
function unlessAway(error: unknown): string {
  if (error instanceof Error && /^NOPERM/.test(error.message)) return '';
  throw error;
}

/** The server's executable, if it is reported: after an upgrade it may be a different one. */
const programOf = (info: ReadonlyMap<string, string>): string => {
  const executable = info.get('executable');
  return executable ? `, ${executable}` : '';
};

async function writable(
  redis: Redis,
  about: string,
  info: ReadonlyMap<string, string>,
  { setting, roles }: Pick<CheckedRedis, 'setting' | 'roles'>,
): Promise<Finding> {
  if (info.get('role') !== 'slave') return await writeFinding(redis, about, { setting, roles });
  return fail('redis.writable', about, 'it is a read-only replica', `point ${setting} at the primary`);
}

async function vectorSets(redis: Redis, about: string, server: string): Promise<Finding> {
  try {
    await probeVectorSets(redis);
    return pass('redis.vectors', about, 'vector sets: semantic matching and vector indexes work');
  } catch (error) {
    const detail = `${server} has no vector sets: the cache matches exact text only, retrieve and upsert stages fail (${errorText(error)})`;
    return warn('redis.vectors', about, detail, 'use Redis 8 or later, and allow VADD, VSIM, VCARD, VREM, VRANDMEMBER');
  }
}

/** State and indexes: evicted data would be missing from a running run, or from the user who has stored it. */
function keeps(about: string, state: StoreState, acceptUnseen: boolean): Finding {
  const remedy = 'set maxmemory-policy to noeviction; caches have a Redis of their own (REDIS_CACHE_URL)';
  const evicts = mayEvict(state);
  if (evicts === false)
    return pass('redis.eviction', about, 'noeviction: when its memory is full, writes are rejected');
  if (evicts === true) {
    const detail = `${state.policy} may evict data that runs need: worker and gateway do not start with it`;
    return fail('redis.eviction', about, detail, remedy);
  }
  const detail = 'it reveals its maxmemory-policy neither in INFO nor by CONFIG GET';
  if (acceptUnseen) return pass('redis.eviction', about, `${detail}; MILLRACE_STORE_POLICY_UNSEEN accepts it`);
  return fail(
    'redis.eviction',
    about,
    detail,
    'make sure that it is noeviction, then set MILLRACE_STORE_POLICY_UNSEEN=accept',
  );
}

/** Cache entries have an expiry. A cache that does not evict rejects new answers while it keeps old ones. */
function makesRoom(about: string, state: StoreState): Finding {
  const { policy = 'unknown', limitBytes = 0 } = state;
  if (policy !== 'noeviction') return pass('redis.eviction', about, `${policy}: old answers are evicted for new ones`);
  const detail =
    limitBytes === 0
      ? 'noeviction and no memory limit: the cache grows'
      : 'noeviction: when full, new answers are not cached';
  return warn('redis.eviction', about, detail, 'set maxmemory, and maxmemory-policy to volatile-lru');
}

function memory(about: string, { usedBytes = 0, limitBytes = 0 }: StoreState): Finding {
  const detail = `${megabytes(usedBytes)} used of ${limitBytes === 0 ? 'no limit' : megabytes(limitBytes)}`;
  if (limitBytes === 0 || usedBytes < NEARLY_FULL * limitBytes) return pass('redis.memory', about, detail);
  return warn('redis.memory', about, detail, 'raise maxmemory: runs are rejected while the state store is full');
}

function persistence(about: string, { appendOnly }: StoreState): Finding {
  if (appendOnly === true) return pass('redis.persistence', about, 'an append-only file');
  const detail =
    appendOnly === undefined
      ? 'it does not reveal whether it has an append-only file'
      : 'no append-only file: a restart loses data since the last snapshot, or all data';
  return warn('redis.persistence', about, detail, 'set appendonly to yes');
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

/** The fields of `INFO`, one `name:value` per line. */
function fieldsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
