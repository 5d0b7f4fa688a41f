import type { FastifyRequest } from 'fastify';
import { withoutSlash } from '../../runtime/without-slash.js';

/**
 * Base URL of the gateway for callers, without a trailing slash: the configured one, otherwise that of the request.
 * `Forwarded` and `X-Forwarded-…` are ignored, since any caller can send them.
 */
export const baseUrlOf = (publicUrl: string | undefined, { protocol, host }: FastifyRequest): string =>
  publicUrl === undefined ? `${protocol}://${host}` : withoutSlash(publicUrl);

/** The path of such a URL; `/` if it has none. */
export const basePathOf = (publicUrl: string): string => new URL(withoutSlash(publicUrl)).pathname;
