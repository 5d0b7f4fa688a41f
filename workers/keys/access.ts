import type { Redis } from 'ioredis';
import {
  type Access,
  Authenticator,
  type KeyRing,
  RequestRate,
  type TenantLimits,
} from '../../gateway/access/index.js';
import type { ReadinessCheck } from '../../gateway/readiness.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Settings } from '../settings.js';
import { openTokens, type TokenSettings, tokenRules } from './tokens.js';
import { WatchedKeys } from './watched-keys.js';

type Given = TokenSettings &
  Pick<
    Settings,
    | 'MILLRACE_KEYS'
    | 'MILLRACE_PROXY_SECRET'
    | 'MILLRACE_GATEWAY_HOST'
    | 'MILLRACE_CORS_ORIGINS'
    | 'MILLRACE_TENANT_RATE'
    | 'MILLRACE_TENANT_RUNS'
  >;

/** How callers are authenticated. */
interface OpenAccess {
  readonly authenticator: Authenticator;
  /** The checks of `/readyz`, by name. */
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
  close(): void;
}

const NO_KEYS: KeyRing = { find: () => undefined };

/**
 * How the gateway authenticates callers. Throws `INVALID_SETTING` if it is reachable from other machines without
 * authentication, or if settings of two ways exclude each other.
 */
export async function openAccess(settings: Given, logger: Logger, redis?: Redis): Promise<OpenAccess> {
  expectKeysOrProxy(settings);
  const rules = tokenRules(settings);
  const keys = settings.MILLRACE_KEYS === undefined ? undefined : new WatchedKeys(settings.MILLRACE_KEYS, logger);
  const tokens = rules && (await openTokens(rules, logger));
  const access: Access = keys || tokens ? { by: 'key', keys: keys ?? NO_KEYS, tokens } : withoutKeys(settings, logger);
  const { MILLRACE_TENANT_RATE: perSecond, MILLRACE_TENANT_RUNS: runs } = settings;
  const limits: TenantLimits = {
    ...(perSecond > 0 && { rate: { perSecond } }),
    ...(runs > 0 && { runs }),
    requests: new RequestRate(redis),
  };
  return {
    authenticator: new Authenticator(access, logger, limits),
    // Runs can start by keys, and by tokens of known keys.
    readiness: tokens ? { issuer: { critical: false, check: () => tokens.check() } } : {},
    close: () => {
      tokens?.close();
      keys?.close();
    },
  };
}

/** Throws `INVALID_SETTING` if both keys and a proxy are to authenticate: with keys the proxy would be ignored, and its requests rejected. */
export function expectKeysOrProxy(settings: Pick<Settings, 'MILLRACE_KEYS' | 'MILLRACE_PROXY_AUTHENTICATES'>): void {
  if (settings.MILLRACE_KEYS === undefined || settings.MILLRACE_PROXY_AUTHENTICATES === 'no') return;
  throw invalidSetting('MILLRACE_KEYS', 'cannot be used with MILLRACE_PROXY_AUTHENTICATES=yes: unset one of them');
}

function withoutKeys(settings: Given, logger: Logger): Access {
  const { MILLRACE_GATEWAY_HOST: host } = settings;
  if (settings.MILLRACE_PROXY_AUTHENTICATES === 'yes') {
    const { MILLRACE_PROXY_SECRET: secrets = [] } = settings;
    if (secrets.length > 0) return { by: 'proxy', secrets };
    if (!isLoopbackName(host)) throw invalidSetting('MILLRACE_PROXY_SECRET', openProxy(host));
    logger.warn({ setting: 'MILLRACE_PROXY_SECRET' }, 'not set: any process on this machine can pose as the proxy');
    return { by: 'proxy', secrets };
  }
  if (isLoopbackName(host)) return { by: 'loopback', origins: settings.MILLRACE_CORS_ORIGINS };
  const message =
    `${host} is reachable from other machines, and requests would need no key. Create keys (millrace keys create) and set ` +
    'MILLRACE_KEYS, set MILLRACE_OIDC_ISSUER to accept the tokens of an identity provider, or set MILLRACE_PROXY_AUTHENTICATES=yes ' +
    'and MILLRACE_PROXY_SECRET if a proxy in front authenticates';
  throw invalidSetting('MILLRACE_GATEWAY_HOST', message);
}

const openProxy = (host: string) =>
  `${host} is reachable from other machines, which could pose as the proxy. Set a secret of at least ` +
  '32 characters that the proxy sends as `Millrace-Proxy-Secret`, or bind 127.0.0.1';
