import type { FastifyInstance } from 'fastify';
import { mayUse } from '../../runs/caller.js';
import { callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { basePathOf } from '../http/public-url.js';
import { type DocumentedRoute, openApiDocument } from './document.js';
import { json } from './schemas.js';

/** Documents that are kept, of sets of pipelines that callers may use: to make one takes a turn of the event loop of some tens of milliseconds. */
const MOST_KEPT = 16;

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
  const kept = new Map<string, string>();
  app.get('/openapi.json', { config: { doc } }, async (request, reply) => {
    const caller = callerOf(request);
    const pipelines = deps.pipelines.filter((pipeline) => mayUse(caller, pipeline));
    const of = JSON.stringify(pipelines.map(({ name }) => name));
    const document =
      kept.get(of) ?? JSON.stringify(openApiDocument(routes, pipelines, deps.release ?? 'unknown', path));
    if (!kept.has(of) && kept.size >= MOST_KEPT) kept.clear();
    kept.set(of, document);
    reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache');
    return document;
  });
}
