import type { FastifyInstance } from 'fastify';

const METHODS = 'GET, HEAD, POST, DELETE';

/** Response headers that pages may read, beside those that browsers always pass on. */
const EXPOSED = [
  'Content-Disposition',
  'Content-Range',
  'ETag',
  'Idempotency-Replayed',
  'Location',
  'Mcp-Session-Id',
  'Millrace-Run',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'WWW-Authenticate',
  'X-RateLimit-Limit-Requests',
  'X-RateLimit-Remaining-Requests',
  'X-RateLimit-Reset-Requests',
  'X-Request-Id',
].join(', ');

/** How long a browser may use the answer to a preflight, in seconds; browsers allow hours, a change of the setting does not. */
const PREFLIGHT_S = 600;

/** Names of headers. OpenAI's client sends a dozen of its own, so they are not listed here. */
const HEADER_NAMES = /^[\w-]+(?: *, *[\w-]+)*$/;
const MOST_CHARACTERS = 2_000;

/**
 * Lets pages of these origins read responses (Fetch standard, CORS). A preflight of theirs is answered here, before
 * authentication, since browsers send it without a key; nothing else happens for it. Credentials are not allowed: callers
 * are authenticated by headers that a page sets itself. Must be added before the hook that authenticates.
 */
export function shareWithOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const known = new Set(origins);
  app.addHook('onRequest', async (request, reply) => {
    // Caches must not give one origin's response to another.
    reply.header('vary', 'Origin');
    const { method, headers, notes } = request;
    const { origin, 'access-control-request-headers': wanted = '' } = headers;
    if (origin === undefined || !known.has(origin)) return;
    reply.header('access-control-allow-origin', origin);
    if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) {
      reply.header('access-control-expose-headers', EXPOSED);
      return;
    }
    notes.quiet = true;
    reply.header('access-control-allow-methods', METHODS).header('access-control-max-age', String(PREFLIGHT_S));
    if (wanted.length <= MOST_CHARACTERS && HEADER_NAMES.test(wanted))
      reply.header('access-control-allow-headers', wanted);
    return reply.code(204).send();
  });
  // A route that varies by something else has replaced the header.
  app.addHook('onSend', async (_, reply) => {
    const vary = String(reply.getHeader('vary') ?? '');
    if (!vary.split(/ *, */).includes('Origin')) reply.header('vary', vary === '' ? 'Origin' : `${vary}, Origin`);
  });
}
