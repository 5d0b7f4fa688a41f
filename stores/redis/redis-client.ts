import { Redis } from 'ioredis';
import type { Logger } from '../../telemetry/logger.js';

/**
 * Waits between two tries to reconnect: 50 ms, doubling to half a second. The cap is what brings hits back within a
 * second of Redis; two tries a second cost nothing.
 */
const RECONNECT_FIRST_MS = 50;
const RECONNECT_MAX_MS = 500;

/**
 * A socket that owes an answer and stays silent for this many command timeouts is dropped and dialled again. Without it
 * a host that vanished without closing its connections is noticed only after TCP's own retries, about 15 minutes.
 */
const SILENT_TIMEOUTS = 4;

/**
 * A connection for uses that can do without Redis: every command answers or fails within `timeoutMs`, and at once while
 * there is no connection. Nothing is queued or sent twice. It reconnects for ever and never throws by itself.
 *
 * @param options.url redis:// or rediss:// URL, with user, password and database if need be
 * @param options.store what it is used for, for log lines
 * @param options.timeoutMs longest wait for one answer, in milliseconds
 */
export function createRedis(options: { url: string; timeoutMs: number; logger: Logger; store?: string }): Redis {
  const { url, timeoutMs, logger, store } = options;
  const redis = new Redis(url, {
    connectionName: 'millrace',
    commandTimeout: timeoutMs,
    // A TLS handshake takes several round trips where a command takes one.
    connectTimeout: Math.max(4 * timeoutMs, 1_000),
    socketTimeout: SILENT_TIMEOUTS * timeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: RECONNECT_MAX_MS,
    retryStrategy: (times) => Math.min(RECONNECT_FIRST_MS * 2 ** Math.min(times - 1, 10), RECONNECT_MAX_MS),
  });
  logConnection(redis, logger, store === undefined ? {} : { store });
  return redis;
}

/**
 * A connection for one look: it is made by `connect`, once, and every command answers or fails within `timeoutMs`. Why it
 * cannot be made or is lost is told by its event `error`.
 */
export const oneShotRedis = (url: string, timeoutMs: number): Redis =>
  new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });

/** One line when the connection is lost and one when it is back, however many tries lie between. */
function logConnection(redis: Redis, logger: Logger, about: { readonly store?: string }): void {
  let up: boolean | undefined;
  let reason = '';
  redis.on('error', (error: Error) => {
    reason = error.message;
    // The first connection: 'close' follows an error only, so it is told here with its reason.
    if (up === undefined) {
      up = false;
      logger.warn({ ...about, error: reason }, 'redis cannot be reached; trying again');
    }
  });
  redis.on('ready', () => {
    if (up !== true) logger.info(about, 'redis connected');
    up = true;
    reason = '';
  });
  redis.on('close', () => {
    if (up === true && redis.status !== 'end')
      logger.warn({ ...about, error: reason || 'closed' }, 'redis connection lost');
    up = up === undefined ? undefined : false;
  });
}

/** Whether Redis answered within `ms`: for a process's start-up, which goes on either way. */
export function connected(redis: Redis, ms: number): Promise<boolean> {
  if (redis.status === 'ready') return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (ready: boolean) => {
      clearTimeout(timer);
      redis.off('ready', onReady);
      resolve(ready);
    };
    const onReady = () => end(true);
    const timer = setTimeout(end, ms, false);
    redis.on('ready', onReady);
  });
}
