import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { Authenticator } from './authenticator.js';
import { type Caller, requirePermission, usualOf } from './caller.js';
import { type TokenHint, tokenHint } from './challenge.js';
import type { Permission } from './permissions.js';
import { rateHeaders } from './request-rate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated caller; absent on `open` routes. Routes read it by `callerOf`. */
    caller?: Caller;
    /** How the caller gets a token; undefined where none are accepted. Made for each error: most requests need none. */
    readonly hint?: TokenHint | undefined;
  }
  interface FastifyContextConfig {
    /** Whether the route needs no authentication: `{ config: { open: true } }`. */
    open?: boolean;
    /** The permission that the route needs, or all those. Default: by its method, see `usualOf`. */
    permission?: Permission | readonly Permission[];
  }
}

/**
 * Authenticates every request, also to unknown routes, before anything else is processed. Rejects with `FORBIDDEN`
 * before the body is read.
 * @param publicUrl base URL at which callers reach the gateway, if it is configured
 */
export function authenticateRequests(app: FastifyInstance, authenticator: Authenticator, publicUrl?: string): void {
  app.decorateRequest('caller');
  app.decorateRequest('hint', {
    getter() {
      const { tokens } = authenticator;
      return tokens && tokenHint(tokens, this, publicUrl);
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    const { open, permission = usualOf(request.method) } = request.routeOptions.config;
    if (open === true) return;
    const caller = await known(authenticator, request);
    request.caller = caller;
    if (caller.rate) reply.headers(rateHeaders(caller.rate));
    request.notes.tenant = caller.tenant;
    if (caller.key) request.notes.key = caller.key.id;
    if (request.is404) return;
    requirePermission(caller, ...[permission].flat());
  });
}

async function known(authenticator: Authenticator, request: FastifyRequest): Promise<Caller> {
  try {
    return await authenticator.authenticate({ headers: request.headers, address: request.ip });
  } catch (error) {
    // Keeps a flood from filling the log; its start is logged.
    if (error instanceof MillraceError && error.code === 'RATE_LIMITED') request.notes.quiet = true;
    throw error;
  }
}
