import type { PoolConfig } from '../models.js';
import type { Discovery } from './discovery.js';
import { dnsDiscovery, srvDiscovery } from './dns.js';
import { fileDiscovery } from './file.js';
import { type KubernetesAccess, kubernetesDiscovery } from './kubernetes.js';

export interface DiscoverySettings {
  /** `address` or `address:port` of the DNS servers to ask, in place of the system's resolver. */
  readonly dnsServers?: readonly string[] | undefined;
  readonly kubernetes?: KubernetesAccess | undefined;
}

/** The discovery that a pool's `discover` names; undefined for a pool with fixed endpoints. */
export function discoveryOf({ discover }: PoolConfig, settings: DiscoverySettings = {}): Discovery | undefined {
  if (discover === undefined) return undefined;
  if (typeof discover === 'object') return fileDiscovery(discover.file);
  switch (discover) {
    case 'dns':
      return dnsDiscovery(settings.dnsServers);
    case 'srv':
      return srvDiscovery(settings.dnsServers);
    case 'kubernetes':
      return kubernetesDiscovery(settings.kubernetes);
  }
}

export { Discoverer } from './discoverer.js';
export type { Discovery } from './discovery.js';
export { type FindEndpoints, listed } from './find-endpoints.js';
export type { KubernetesAccess } from './kubernetes.js';
export { search } from './search.js';
