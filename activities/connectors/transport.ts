import { isIP, type LookupFunction } from 'node:net';
import type { Agent } from 'undici';
import type { Link } from './connector.js';
import type { Transport } from './exchange.js';

export interface LinkedTransport<F = Transport> {
  readonly fetch: F;
  close(): void;
}

/**
 * `fetch` over a link: with its headers, its certificates and its server's name. Without a link it is Node's own.
 * @param endpoint the base URL; with a `serverName` its host is the address to connect to, and requests are made for the
 *   name, so that the certificate and the Host header are those of the name
 * @param through what each request goes through as it leaves: with its headers, and the name of its server
 */
export function transportOf(
  endpoint: string,
  { serverName, headers = {}, tls }: Link = {},
  through?: (send: Transport) => Transport,
): LinkedTransport<typeof fetch> {
  const send = through?.(fetch) ?? fetch;
  const address = serverName === undefined ? undefined : addressIn(endpoint);
  const agent = tls || address !== undefined ? agentWhenUsed({ ...tls, ...pinnedTo(address) }) : undefined;
  if (!agent && Object.keys(headers).length === 0 && !through) return { fetch, close: () => undefined };
  return {
    fetch: async (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (address !== undefined && serverName !== undefined) url.hostname = serverName;
      const all = new Headers(init?.headers);
      for (const [name, value] of Object.entries(headers)) all.set(name, value);
      // Node's types lack `dispatcher`, which its `fetch` has.
      return send(url.href, { ...init, headers: all, ...(agent && { dispatcher: await agent.get() }) } as RequestInit);
    },
    // Calls in flight end first.
    close: () => agent?.close(),
  };
}

/** An agent that is made for the first request: few pools need one, and loading undici takes tens of milliseconds. */
function agentWhenUsed(connect: NonNullable<Agent.Options['connect']>): { get(): Promise<Agent>; close(): void } {
  let made: Promise<Agent> | undefined;
  return {
    get() {
      made ??= import('undici').then(({ Agent }) => new Agent({ connect }));
      return made;
    },
    close: () => void made?.then((agent) => agent.close()).catch(() => undefined),
  };
}

/**
 * The origin of an endpoint under its server's name: requests there go to the endpoint's address, whatever the name resolves to, so
 * that a server may answer with addresses of its name. Undefined where `transportOf` connects to no address in place of a name.
 */
export function namedOrigin(endpoint: string, { serverName }: Link = {}): string | undefined {
  if (serverName === undefined || !URL.canParse(endpoint) || addressIn(endpoint) === undefined) return undefined;
  const url = new URL(endpoint);
  url.hostname = serverName;
  return url.origin;
}

function addressIn(endpoint: string): string | undefined {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? undefined : host;
}

/** Connects to the address whatever name a request has. */
function pinnedTo(address: string | undefined): { lookup?: LookupFunction } {
  if (address === undefined) return {};
  const family = isIP(address);
  return {
    lookup: (_name, { all }, done) => (all ? done(null, [{ address, family }]) : done(null, address, family)),
  };
}

/** The given transport, as in tests, else one over the link; `through` as of `transportOf`. */
export const linked = (
  endpoint: string,
  link: Link | undefined,
  given: Transport | undefined,
  through?: (send: Transport) => Transport,
): LinkedTransport =>
  given ? { fetch: through?.(given) ?? given, close: () => undefined } : transportOf(endpoint, link, through);
