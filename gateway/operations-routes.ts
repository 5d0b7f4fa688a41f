import type { FastifyInstance } from 'fastify';
import { callerOf } from './access/caller.js';
import type { GatewayDeps } from './deps.js';
import { readinessOf } from './readiness.js';

/** Probes have no key. */
const OPEN = { config: { open: true } };

/**
 * For those who operate the gateway: `/healthz` (the process lives), `/readyz` (what it needs works: 200 `ready`, 200
 * `degraded` when only something that runs can do without is down, else 503 `unavailable`), `/metrics` (Prometheus).
 */
export async function operationsRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/healthz', OPEN, async () => ({ status: 'ok' }));

  app.get('/readyz', OPEN, async (_, reply) => {
    const readiness = await readinessOf(deps);
    reply.code(readiness.status === 'unavailable' ? 503 : 200).header('cache-control', 'no-store');
    return readiness;
  });

  app.get('/metrics', async (request, reply) => {
    callerOf(request, 'metrics');
    reply.type(deps.registry.contentType);
    return await deps.registry.metrics();
  });
}
