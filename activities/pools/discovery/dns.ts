import { lookup, NODATA, NOTFOUND, Resolver } from 'node:dns/promises';
import type { EndpointConfig } from '../models.js';
import { at, nameOf } from './address.js';
import type { Discovery } from './discovery.js';

const QUERY = { timeout: 2_000, tries: 2 };

/**
 * Every address of each endpoint's name. The system's resolver answers, with its hosts file and search domains; servers
 * of the settings are asked directly, without these.
 */
export const dnsDiscovery = (servers: readonly string[] | undefined): Discovery => {
  const resolve = servers ? resolverOf(servers) : bySystem;
  return async ({ endpoints }) => (await Promise.all(endpoints.map((each) => addressed(each, resolve)))).flat();
};

/**
 * The targets of each endpoint's name as an SRV record (RFC 2782): those of the lowest priority, with their ports, and
 * their weights as the endpoints' weights. The endpoint's URL has the record's name as its host:
 * `http://_llm._tcp.example.com/v1`.
 */
export const srvDiscovery = (servers: readonly string[] | undefined): Discovery => {
  const resolver = new Resolver(QUERY);
  if (servers) resolver.setServers(servers);
  const resolve = servers ? resolverOf(servers) : bySystem;
  return async ({ endpoints }) => {
    const found = endpoints.map(async (endpoint) => {
      const name = nameOf(endpoint.url);
      if (name === undefined) return [endpoint];
      const records = await none(resolver.resolveSrv(name));
      const first = Math.min(...records.map(({ priority }) => priority));
      const chosen = records.filter(({ priority }) => priority === first);
      const each = chosen.map(async ({ name: target, port, weight }) => {
        const addresses = await resolve(target);
        return addresses.map((address) =>
          // A weight of 0 is one that gets next to nothing.
          at(endpoint, address, { port, serverName: target, weight: Math.max(weight, 0.01) }),
        );
      });
      return (await Promise.all(each)).flat();
    });
    return (await Promise.all(found)).flat();
  };
};

type Resolve = (name: string) => Promise<readonly string[]>;

async function addressed(endpoint: EndpointConfig, resolve: Resolve): Promise<EndpointConfig[]> {
  const name = nameOf(endpoint.url);
  if (name === undefined) return [endpoint];
  return (await resolve(name)).map((address) => at(endpoint, address));
}

const bySystem: Resolve = async (name) => {
  const found = await none(lookup(name, { all: true }));
  return [...new Set(found.map(({ address }) => address))].sort();
};

function resolverOf(servers: readonly string[]): Resolve {
  const resolver = new Resolver(QUERY);
  resolver.setServers(servers);
  return async (name) => {
    const found = await Promise.all([none(resolver.resolve4(name)), none(resolver.resolve6(name))]);
    return [...new Set(found.flat())].sort();
  };
}

/** A name without records has no endpoints; any other error is one of the resolver, which says nothing of the name. */
async function none<T>(records: Promise<T[]>): Promise<T[]> {
  try {
    return await records;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === NODATA || code === NOTFOUND) return [];
    throw error;
  }
}
