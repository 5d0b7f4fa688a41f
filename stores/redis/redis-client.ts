import { Redis } from 'ioredis';
import type { Logger } from '../../telemetry/logger.js';

/**
 * Delays between reconnects: 50 ms, doubling to half a second. The cap restores the connection within a second of
 * Redis; two tries a second cost nothing.
 */
const RECONNECT_FIRST_MS = 50;
const RECONNECT_MAX_MS = 500;

/**
 * A socket with a pending reply that stays silent for this many command timeouts is closed and reopened. Otherwise a
 * host that vanished without closing its connections is noticed only after TCP's own retries, about 15 minutes.
 */
const SILENT_TIMEOUTS = 4;

/** Time between two reconnects because of a server that takes no writes, in milliseconds. */
const READ_ONLY_MS = 1_000;

/**
 * A connection for uses that can do without Redis: every command settles within `timeoutMs`, and rejects at once while
 * disconnected. Commands are neither queued nor sent twice. It reconnects indefinitely and never throws by itself.
 *
 * @param options.url redis:// or rediss:// URL, with user, password and database if required
 * @param options.store what it is used for, in log lines
 * @param options.timeoutMs timeout of a command, in milliseconds
 */
export function createRedis(options: { url: string; timeoutMs: number; logger: Logger; store?: string }): Redis {
  const { url, timeoutMs, logger, store } = options;
  const redis = new Redis(url, {
    connectionName: 'millrace',
    commandTimeout: timeoutMs,
    // A TLS handshake takes several round trips, a command one.
    connectTimeout: Math.max(4 * timeoutMs, 1_000),
    socketTimeout: SILENT_TIMEOUTS * timeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // ioredis ignores whether its own subscriptions are answered: a server that is slow when it is back would end the process
    // by an unhandled rejection. Subscribers subscribe again themselves.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: RECONNECT_MAX_MS,
    reconnectOnError: whenReadOnly(),
    retryStrategy: (times) => Math.min(RECONNECT_FIRST_MS * 2 ** Math.min(times - 1, 10), RECONNECT_MAX_MS),
  });
  logConnection(redis, logger, store === undefined ? {} : { store });
  return redis;
}

/**
 * A connection for a single check: `connect` opens it once, and every command settles within `timeoutMs`. Its `error`
 * event carries why it could not be opened or was lost.
 */
export const oneShotRedis = (url: string, timeoutMs: number): Redis =>
  new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });

/**
 * Whether to connect again after an error of a command: when another server has become the primary. The former one keeps
 * its connections, and would refuse every write from then on; the address leads to the new one.
 */
function whenReadOnly(): (error: Error) => boolean {
  let last = Number.NEGATIVE_INFINITY;
  return ({ message }) => {
    if (!/\bREADONLY\b/.test(message) || performance.now() - last < READ_ONLY_MS) return false;
    last = performance.now();
    return true;
  };
}

/** Logs one line when the connection is lost and one when it is back, however many tries lie between. */
function logConnection(redis: Redis, logger: Logger, about: { readonly store?: string }): void {
  let up: boolean | undefined;
  let reason = '';
  redis.on('error', (error: Error) => {
    reason = error.message;
    // The first connection: 'close' only follows an error here, so it is logged with its reason.
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

/** Whether Redis answered within `ms`, for a process's start-up, which continues either way. */
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
