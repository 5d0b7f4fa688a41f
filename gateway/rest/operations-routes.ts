import type { FastifyInstance } from 'fastify';
import type { GatewayDeps } from '../deps.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { component, json } from '../openapi/schemas.js';

/** Probes send no key. */
const open = true;

const HEALTHZ: RouteDoc = {
  tag: 'operations',
  operation: 'isAlive',
  summary: 'Liveness',
  answers: { 200: { description: 'Alive', content: json({ properties: { status: { const: 'ok' } } }) } },
};
const READYZ: RouteDoc = {
  tag: 'operations',
  operation: 'isReady',
  summary: 'Readiness of the gateway and its dependencies',
  answers: {
    200: {
      description: 'Runs can start; `degraded` if a part has failed that some runs need',
      content: json(component('Readiness')),
    },
    503: { description: 'No run can start', content: json(component('Readiness')) },
  },
};
const METRICS: RouteDoc = {
  tag: 'operations',
  operation: 'metrics',
  summary: 'Metrics for Prometheus',
  answers: { 200: { description: 'The metrics', content: { 'text/plain': { schema: { type: 'string' } } } } },
};

/**
 * Routes for operators: `/healthz` (liveness), `/readyz` (200 `ready`, 200 `degraded` if runs can start but another
 * part has failed, otherwise 503 `unavailable`), `/metrics` (Prometheus).
 */
export async function operationsRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  // Some monitors ask by HEAD.
  const method: ('GET' | 'HEAD')[] = ['GET', 'HEAD'];
  app.route({ method, url: '/healthz', config: { open, doc: HEALTHZ }, handler: async () => ({ status: 'ok' }) });

  app.route({
    method,
    url: '/readyz',
    config: { open, doc: READYZ },
    handler: async (_, reply) => {
      const readiness = await deps.ready.now();
      reply.code(readiness.status === 'unavailable' ? 503 : 200).header('cache-control', 'no-store');
      return readiness;
    },
  });

  app.get('/metrics', { config: { permission: 'metrics', doc: METRICS } }, async (_, reply) => {
    reply.type(deps.registry.contentType);
    return await deps.registry.metrics();
  });
}
