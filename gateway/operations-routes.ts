import type { FastifyInstance } from 'fastify';
import { MillraceError } from '../pipelines/errors.js';
import { callerOf } from './access/caller.js';
import type { GatewayDeps, ReadinessCheck } from './deps.js';

/** Longest time that a part may take to say that it works: a probe of Kubernetes waits a second by default, people set 5. */
const CHECK_MS = 2_000;

/** Probes have no key. */
const OPEN = { config: { open: true } };

interface CheckResult {
  readonly status: 'ok' | 'failed';
  readonly critical: boolean;
  readonly ms: number;
  readonly error?: string;
}

/**
 * For those who operate the gateway: `/healthz` (the process lives), `/readyz` (what it needs works: 200 `ready`, 200
 * `degraded` when only something that runs can do without is down, else 503 `unavailable`), `/metrics` (Prometheus).
 */
export async function operationsRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.get('/healthz', OPEN, async () => ({ status: 'ok' }));

  app.get('/readyz', OPEN, async (_, reply) => {
    const entries = Object.entries(deps.readiness).map(async ([name, part]) => [name, await run(part)] as const);
    const checks = Object.fromEntries(await Promise.all(entries));
    const failed = Object.values(checks).filter(({ status }) => status === 'failed');
    const unavailable = failed.some(({ critical }) => critical);
    reply.code(unavailable ? 503 : 200).header('cache-control', 'no-store');
    return { status: unavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ready', checks };
  });

  app.get('/metrics', async (request, reply) => {
    callerOf(request, 'metrics');
    reply.type(deps.registry.contentType);
    return await deps.registry.metrics();
  });
}

async function run({ critical, check }: ReadinessCheck): Promise<CheckResult> {
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MillraceError('INTERNAL', `no answer within ${CHECK_MS} ms`)), CHECK_MS);
  });
  const result = (status: 'ok' | 'failed') => ({ status, critical, ms: Math.round(performance.now() - start) });
  try {
    await Promise.race([check(), late]);
    return result('ok');
  } catch (error) {
    // Only messages written for people: others may name paths.
    return { ...result('failed'), error: error instanceof MillraceError ? error.message : 'failed' };
  } finally {
    clearTimeout(timer);
  }
}
