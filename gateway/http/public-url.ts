import type { FastifyRequest } from 'fastify';

/**
 * Base URL of the gateway as a caller knows it, without a slash at its end: what the operator says, else what was called. What
 * `Forwarded` and `X-Forwarded-…` say is not looked at, since any caller may send them.
 */
export const baseUrlOf = (publicUrl: string | undefined, { protocol, host }: FastifyRequest): string =>
  publicUrl === undefined ? `${protocol}://${host}` : withoutSlash(publicUrl);

/** Path of such a URL: `/` where it has none. */
export const basePathOf = (publicUrl: string): string => new URL(withoutSlash(publicUrl)).pathname;

const withoutSlash = (url: string): string => url.replace(/\/+$/, '');
