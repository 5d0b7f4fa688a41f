import type { FastifyInstance } from 'fastify';
import { mayUse } from '../../runs/caller.js';
import { callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { basePathOf } from '../http/public-url.js';
import { type DocumentedRoute, openApiDocument } from './document.js';
import { json } from './schemas.js';

/**
 * `GET /openapi.json`: the routes of this gateway, including those of each pipeline that the caller may use with its
 * own schemas.
 */
export async function openApiRoutes(
  app: FastifyInstance,
  deps: GatewayDeps,
  routes: readonly DocumentedRoute[],
): Promise<void> {
  const doc = {
    tag: 'description',
    operation: 'describe',
    summary: 'Get this document',
    answers: {
      200: { description: 'OpenAPI 3.1', content: json({ type: 'object' }), headers: { 'Cache-Control': 'no-cache' } },
    },
  };
  // The request's `Host` is not used: it need not be a valid name.
  const path = deps.publicUrl === undefined ? '/' : basePathOf(deps.publicUrl);
  app.get('/openapi.json', { config: { doc } }, async (request, reply) => {
    const caller = callerOf(request);
    const pipelines = deps.pipelines.filter((pipeline) => mayUse(caller, pipeline));
    reply.header('cache-control', 'no-cache');
    return openApiDocument(routes, pipelines, deps.release ?? 'unknown', path);
  });
}
