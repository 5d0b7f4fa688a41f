import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { Permission } from './api-key.js';
import type { Authenticator } from './authenticator.js';
import { type Caller, requirePermission, usualOf } from './caller.js';
import { rateHeaders } from './request-rate.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who makes the request; absent on routes that are `open`. Routes take it by `callerOf`. */
    caller?: Caller;
  }
  interface FastifyContextConfig {
    /** Whether a route serves everybody, keys or not: `{ config: { open: true } }`. */
    open?: boolean;
    /** What a caller must be allowed for a route; by its method where it does not say. */
    permission?: Permission;
  }
}

/**
 * Every request, also one to a route that is not there, is authenticated before anything of it is looked at, and refused as
 * `FORBIDDEN` before its body is read.
 */
export function authenticateRequests(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request, reply) => {
    const { open, permission = usualOf(request.method) } = request.routeOptions.config;
    if (open === true) return;
    const caller = await known(authenticator, request);
    request.caller = caller;
    if (caller.rate) reply.headers(rateHeaders(caller.rate));
    request.notes.tenant = caller.tenant;
    if (caller.key) request.notes.key = caller.key.id;
    if (!request.is404) requirePermission(caller, permission);
  });
}

async function known(authenticator: Authenticator, request: FastifyRequest): Promise<Caller> {
  try {
    return await authenticator.authenticate({ headers: request.headers, address: request.ip });
  } catch (error) {
    // A flood must not fill the log: its beginning is in it.
    if (error instanceof MillraceError && error.code === 'RATE_LIMITED') request.notes.quiet = true;
    throw error;
  }
}
