import type { Redis } from 'ioredis';
import { type Access, Authenticator, RequestRate, type TenantLimits } from '../../gateway/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Settings } from '../settings.js';
import { WatchedKeys } from './watched-keys.js';

type Given = Pick<
  Settings,
  | 'MILLRACE_KEYS'
  | 'MILLRACE_PROXY_AUTHENTICATES'
  | 'MILLRACE_PROXY_SECRET'
  | 'MILLRACE_GATEWAY_HOST'
  | 'MILLRACE_CORS_ORIGINS'
  | 'MILLRACE_TENANT_RATE'
  | 'MILLRACE_TENANT_RUNS'
>;

/**
 * How the gateway authenticates callers. Throws `INVALID_SETTING` if it is reachable from other machines without
 * authentication.
 */
export function openAccess(
  settings: Given,
  logger: Logger,
  redis?: Redis,
): { authenticator: Authenticator; close(): void } {
  const access = accessOf(settings, logger);
  const { MILLRACE_TENANT_RATE: perSecond, MILLRACE_TENANT_RUNS: runs } = settings;
  const limits: TenantLimits = {
    ...(perSecond > 0 && { rate: { perSecond } }),
    ...(runs > 0 && { runs }),
    requests: new RequestRate(redis),
  };
  return {
    authenticator: new Authenticator(access, logger, limits),
    close: () => {
      if (access.by === 'key') access.keys.close();
    },
  };
}

function accessOf(settings: Given, logger: Logger): Exclude<Access, { by: 'key' }> | { by: 'key'; keys: WatchedKeys } {
  const { MILLRACE_KEYS: file, MILLRACE_GATEWAY_HOST: host } = settings;
  if (file !== undefined) return { by: 'key', keys: new WatchedKeys(file, logger) };
  if (settings.MILLRACE_PROXY_AUTHENTICATES === 'yes') {
    const { MILLRACE_PROXY_SECRET: secrets = [] } = settings;
    if (secrets.length > 0) return { by: 'proxy', secrets };
    if (!isLoopbackName(host)) throw invalid('MILLRACE_PROXY_SECRET', openProxy(host));
    logger.warn({ setting: 'MILLRACE_PROXY_SECRET' }, 'not set: any process on this machine can pose as the proxy');
    return { by: 'proxy', secrets };
  }
  if (isLoopbackName(host)) return { by: 'loopback', origins: settings.MILLRACE_CORS_ORIGINS };
  const message =
    `${host} is reachable from other machines, and requests would need no key. Create keys (millrace keys create) and set ` +
    'MILLRACE_KEYS, or set MILLRACE_PROXY_AUTHENTICATES=yes and MILLRACE_PROXY_SECRET if a proxy in front authenticates';
  throw invalid('MILLRACE_GATEWAY_HOST', message);
}

const openProxy = (host: string) =>
  `${host} is reachable from other machines, which could pose as the proxy. Set a secret of at least ` +
  '32 characters that the proxy sends as `Millrace-Proxy-Secret`, or bind 127.0.0.1';

const invalid = (field: string, message: string) =>
  new MillraceError('INVALID_SETTING', `${field}: ${message}`, { fields: [{ field, message }] });
