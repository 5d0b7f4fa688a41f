import type { FastifyRequest } from 'fastify';
import { withoutSlash } from '../../runtime/without-slash.js';

/**
 * Base URL of the gateway for callers, without a trailing slash: the configured one, otherwise that of the request, or the address at
 * which it came if it names no host, as HTTP/1.0 allows. `Forwarded` and `X-Forwarded-…` are ignored, since any caller can send them.
 */
export function baseUrlOf(publicUrl: string | undefined, { protocol, host, socket }: FastifyRequest): string {
  if (publicUrl !== undefined) return withoutSlash(publicUrl);
  const named = `${protocol}://${host}`;
  if (URL.canParse(named)) return named;
  const { localAddress = '127.0.0.1', localPort = 80 } = socket;
  return `${protocol}://${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
}

/** The path of such a URL; `/` if it has none. */
export const basePathOf = (publicUrl: string): string => new URL(withoutSlash(publicUrl)).pathname;
