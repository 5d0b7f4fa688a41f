import { Redis } from 'ioredis';
import { endpointsOf } from '../../endpoints.js';
import type { Settings } from '../../settings.js';
import { addressOf } from '../../stack/addresses.js';
import { clockFinding } from './clock.js';
import { type Check, type Finding, fail, pass, told, warn } from './finding.js';

/** Longest wait for a connection and for one answer: far above a healthy one (< 10 ms), within the time of a check. */
const ANSWER_MS = 3_000;

/** Share of `maxmemory` from which Redis counts as nearly full: a burst of answers fills the rest. */
const NEARLY_FULL = 0.9;

export function redisCheck(settings: Settings): Check {
  const about = addressOf('redis', settings);
  const remedy =
    settings.REDIS_URL === undefined
      ? 'start it with "millrace up", or set REDIS_URL to your own'
      : 'start it, or correct REDIS_URL';
  return {
    id: 'redis.reachable',
    about,
    remedy,
    async run(signal) {
      const redis = new Redis(endpointsOf(settings).redis, {
        lazyConnect: true,
        connectTimeout: ANSWER_MS,
        commandTimeout: ANSWER_MS,
        maxRetriesPerRequest: 0,
        retryStrategy: () => null,
      });
      let reason: Error | undefined;
      redis.on('error', (error: Error) => {
        reason ??= error;
      });
      const close = () => redis.disconnect();
      signal.addEventListener('abort', close, { once: true });
      try {
        await redis.connect();
        return await look(redis, about);
      } catch (error) {
        // The client's own error says that the connection is closed, the event why.
        throw reason ?? error;
      } finally {
        signal.removeEventListener('abort', close);
        close();
      }
    },
  };
}

async function look(redis: Redis, about: string): Promise<Finding[]> {
  const started = performance.now();
  const info = fieldsOf(await redis.info());
  const ms = performance.now() - started;
  const [valkey, version] = [info.get('valkey_version'), info.get('redis_version') ?? 'of unknown version'];
  const server = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`;
  return [
    pass('redis.reachable', about, server, ms),
    writable(about, info),
    await vectorSets(redis, about, server),
    eviction(about, info),
    memory(about, info),
    persistence(about, info),
    await clockFinding(redis, about),
  ];
}

function writable(about: string, info: ReadonlyMap<string, string>): Finding {
  if (info.get('role') !== 'slave') return pass('redis.writable', about, 'it takes writes');
  const detail = 'it is a replica and takes no writes: no cache, no journals, no vector index';
  return fail('redis.writable', about, detail, 'point REDIS_URL at the primary');
}

async function vectorSets(redis: Redis, about: string, server: string): Promise<Finding> {
  try {
    // A real call says more than COMMAND INFO does: it is refused too where an ACL forbids the commands.
    await redis.call('VCARD', 'millrace:doctor:probe');
    return pass('redis.vectors', about, 'vector sets: semantic matching and vector indexes work');
  } catch (error) {
    const detail = `${server} has no vector sets: the cache matches exact text only, retrieve and upsert stages fail (${told(error)})`;
    return warn('redis.vectors', about, detail, 'use Redis 8 or later, and allow VADD, VSIM, VCARD, VREM, VRANDMEMBER');
  }
}

/** Cache entries have a time to live; journals of runs and vector indexes have none and must not go. */
function eviction(about: string, info: ReadonlyMap<string, string>): Finding {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  const limit = Number(info.get('maxmemory') ?? 0);
  if (limit === 0) return pass('redis.eviction', about, `no memory limit, so nothing is evicted (policy ${policy})`);
  const remedy = 'set maxmemory-policy to volatile-lru: what has a time to live then goes first, and nothing else';
  if (policy.startsWith('allkeys'))
    return warn(
      'redis.eviction',
      about,
      `${policy} may evict journals of runs and vector indexes, not only the cache`,
      remedy,
    );
  if (policy === 'noeviction')
    return warn(
      'redis.eviction',
      about,
      'noeviction: when the memory is full, journals and indexes are refused for old cache entries',
      remedy,
    );
  return pass('redis.eviction', about, `${policy}: only what has a time to live`);
}

function memory(about: string, info: ReadonlyMap<string, string>): Finding {
  const used = Number(info.get('used_memory') ?? 0);
  const limit = Number(info.get('maxmemory') ?? 0);
  const detail = `${megabytes(used)} used of ${limit === 0 ? 'no limit' : megabytes(limit)}`;
  if (limit === 0 || used < NEARLY_FULL * limit) return pass('redis.memory', about, detail);
  return warn('redis.memory', about, detail, 'raise maxmemory, or shorten the ttl of caches');
}

function persistence(about: string, info: ReadonlyMap<string, string>): Finding {
  if (info.get('aof_enabled') === '1') return pass('redis.persistence', about, 'an append-only file');
  const detail = 'no append-only file: a restart loses journals and vector indexes since the last snapshot, or all';
  return warn('redis.persistence', about, detail, 'set appendonly to yes');
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

/** The fields of `INFO`, `name:value` a line. */
function fieldsOf(info: string): ReadonlyMap<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
