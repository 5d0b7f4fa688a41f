import { transportOf } from '../activities/connectors/transport.js';
import { discoveryOf, listed, search } from '../activities/pools/discovery/index.js';
import type { DiscoverySettings, EndpointConfig, FindEndpoints, ModelsConfig } from '../activities/pools/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { withoutSlash } from '../runtime/without-slash.js';
import { textOfSetting } from './setting-files.js';
import type { Settings } from './settings.js';

/** How pools with `discover` search for their servers. Throws `INVALID_SETTING` for a CA file that cannot be read. */
export function discoverySettings(settings: Settings): DiscoverySettings {
  const { MILLRACE_DNS_SERVERS: dnsServers, MILLRACE_KUBERNETES_API: api } = settings;
  if (api === undefined) return { dnsServers };
  const { MILLRACE_KUBERNETES_TOKEN_FILE: tokenFile, MILLRACE_KUBERNETES_CA_FILE: caFile } = settings;
  const { fetch: transport } = transportOf(
    api,
    api.startsWith('https:') ? { tls: { ca: textOfSetting('MILLRACE_KUBERNETES_CA_FILE', caFile) } } : {},
  );
  return { dnsServers, kubernetes: { api: withoutSlash(api), tokenFile, transport } };
}

/** The search of the settings for one command, which looks as workers do, without pods that terminate. */
export function endpointFinder(settings: Settings): FindEndpoints {
  let known: DiscoverySettings | undefined;
  return async (name, pool, signal) => {
    if (pool.discover === undefined) return pool.endpoints;
    try {
      known ??= discoverySettings(settings);
      const discovery = discoveryOf(pool, known);
      const servers = discovery ? await search(discovery, pool, signal) : pool.endpoints;
      // Pods that terminate are about to be gone; an endpoint that is draining itself keeps its pods.
      const all = pool.discover !== 'kubernetes' || pool.endpoints.some(({ draining }) => draining);
      return all ? servers : servers.filter(({ draining }) => !draining);
    } catch (cause) {
      signal.throwIfAborted();
      const code = cause instanceof MillraceError ? `${cause.code}: ` : '';
      throw new MillraceError('BACKEND_UNAVAILABLE', `endpoints of ${name}: ${code}${messageOf(cause)}`, {}, { cause });
    }
  };
}

/** The first server of one endpoint of a pool. Throws `BACKEND_UNAVAILABLE` if there is none, or as `FindEndpoints`. */
export async function firstServer(
  find: FindEndpoints,
  name: string,
  pool: PoolConfig,
  endpoint: EndpointConfig,
  signal: AbortSignal,
): Promise<EndpointConfig> {
  const [server] = await find(name, { ...pool, endpoints: [endpoint] }, signal);
  if (server) return server;
  throw new MillraceError('BACKEND_UNAVAILABLE', `endpoints of ${name}: no server has been found at ${endpoint.url}`);
}

/** The models, of which these pools have the endpoints that they have now. Throws as `FindEndpoints`. */
export function withServers(settings: Settings, models: ModelsConfig, names: readonly string[], signal: AbortSignal) {
  const find = endpointFinder(settings);
  return changed(models, names, async (name, pool) => ({ ...pool, endpoints: [...(await find(name, pool, signal))] }));
}

/** The models, of which these pools have endpoints with lasting addresses: see `listed`. Throws as `FindEndpoints`. */
export function withListed(settings: Settings, models: ModelsConfig, names: readonly string[], signal: AbortSignal) {
  const find = endpointFinder(settings);
  return changed(models, names, (name, pool) => listed(name, pool, find, signal));
}

type PoolConfig = ModelsConfig[string];

async function changed(
  models: ModelsConfig,
  names: readonly string[],
  change: (name: string, pool: PoolConfig) => Promise<PoolConfig>,
): Promise<ModelsConfig> {
  const pools = Object.entries(models).map(
    async ([name, pool]) => [name, names.includes(name) ? await change(name, pool) : pool] as const,
  );
  return Object.fromEntries(await Promise.all(pools));
}
