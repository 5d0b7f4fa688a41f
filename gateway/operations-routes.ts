import type { FastifyInstance } from 'fastify';
import { callerOf } from './access/caller.js';
import type { GatewayDeps } from './deps.js';
import type { RouteDoc } from './openapi/route-doc.js';
import { component, json } from './openapi/schemas.js';
import { readinessOf } from './readiness.js';

/** Probes have no key. */
const open = true;

const HEALTHZ: RouteDoc = {
  tag: 'operations',
  operation: 'isAlive',
  summary: 'Whether the process lives',
  answers: { 200: { description: 'It does', content: json({ properties: { status: { const: 'ok' } } }) } },
};
const READYZ: RouteDoc = {
  tag: 'operations',
  operation: 'isReady',
  summary: 'Whether what the gateway needs works',
  answers: {
    200: {
      description: 'It can serve, `degraded` where it is without something',
      content: json(component('Readiness')),
    },
    503: { description: 'It cannot serve', content: json(component('Readiness')) },
  },
};
const METRICS: RouteDoc = {
  tag: 'operations',
  operation: 'metrics',
  summary: 'Metrics for Prometheus',
  answers: { 200: { description: 'The metrics', content: { 'text/plain': { schema: { type: 'string' } } } } },
};

/**
 * For those who operate the gateway: `/healthz` (the process lives), `/readyz` (what it needs works: 200 `ready`, 200
 * `degraded` when only something that runs can do without is down, else 503 `unavailable`), `/metrics` (Prometheus).
 */
export async function operationsRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/healthz', { config: { open, doc: HEALTHZ } }, async () => ({ status: 'ok' }));

  app.get('/readyz', { config: { open, doc: READYZ } }, async (_, reply) => {
    const readiness = await readinessOf(deps);
    reply.code(readiness.status === 'unavailable' ? 503 : 200).header('cache-control', 'no-store');
    return readiness;
  });

  app.get('/metrics', { config: { doc: METRICS } }, async (request, reply) => {
    callerOf(request, 'metrics');
    reply.type(deps.registry.contentType);
    return await deps.registry.metrics();
  });
}
