import { isIP } from 'node:net';
import type { EndpointConfig } from '../models.js';

const PARTS = /^([a-z]+:\/\/)?(\[[^\]]+\]|[^:/?#]+)(?::(\d+))?(.*)$/i;

/** The host of an endpoint's address, `host:port` or a URL; undefined if it has none or is a number already. */
export function nameOf(url: string): string | undefined {
  const host = PARTS.exec(url)?.[2]?.replace(/^\[|\]$/g, '');
  return host === undefined || isIP(host) !== 0 ? undefined : host;
}

/** The port that an endpoint's address states. */
export const portOf = (url: string): number | undefined => {
  const port = PARTS.exec(url)?.[3];
  return port === undefined ? undefined : Number(port);
};

/** The endpoint at one of its name's addresses. The name stays: for the certificate and the Host header. */
export function at(
  endpoint: EndpointConfig,
  address: string,
  more: Partial<EndpointConfig> & { readonly port?: number } = {},
): EndpointConfig {
  const { port, ...rest } = more;
  const [, scheme = '', , given, path = ''] = PARTS.exec(endpoint.url) ?? [];
  const host = isIP(address) === 6 ? `[${address}]` : address;
  const chosen = port ?? given;
  const name = nameOf(endpoint.url);
  return {
    ...endpoint,
    ...(name !== undefined && { serverName: name }),
    ...rest,
    url: `${scheme}${host}${chosen === undefined ? '' : `:${chosen}`}${path}`,
  };
}
