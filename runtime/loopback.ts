import { isIPv4 } from 'node:net';

/**
 * Whether an address (`host`, `host:port` or a URL) is on this machine. gRPC would send such traffic to a proxy from
 * the environment, which cannot reach it.
 */
export const isLoopback = (address: string): boolean => /^(\w+:\/\/)?(127\.|\[?::1\]?|localhost\b)/.test(address);

/** Whether a host name or address always means this machine (RFC 6761 §6.3, RFC 1122 §3.2.1.3). */
export const isLoopbackName = (host: string): boolean =>
  host === '::1' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.')) || /^(.+\.)?localhost$/i.test(host);

/** Whether nobody on the network can read or change what is exchanged with a URL: it has TLS, or is on this machine. */
export function isConfidential(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackName(hostname));
}
