import { transportOf } from '../activities/connectors/transport.js';
import type { DiscoverySettings } from '../activities/pools/index.js';
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
