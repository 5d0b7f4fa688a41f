import type { Connection } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { FRESH_MS, type PoolReport, PoolReports } from '../activities/pools/reports.js';
import type { ReadinessCheck } from '../gateway/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { ArtifactStore } from '../stores/artifacts/index.js';
import type { StoreWatch } from '../stores/redis/index.js';
import { pollersOf } from '../temporal/pollers.js';

interface Parts {
  readonly connection: Connection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly redis: Redis;
  /** The watch of the same store. */
  readonly state: Pick<StoreWatch, 'requireSound'>;
  readonly artifacts: Pick<ArtifactStore, 'check'>;
}

/**
 * The checks of `/readyz`. Critical: no run can start without it. `/readyz` is public: messages must not contain
 * addresses.
 */
export function gatewayReadiness({
  connection,
  namespace,
  taskQueue,
  redis,
  state,
  artifacts,
}: Parts): Readonly<Record<string, ReadinessCheck>> {
  const reports = new PoolReports(redis, taskQueue);
  return {
    temporal: { critical: true, check: async () => void (await connection.workflowService.getSystemInfo({})) },
    artifacts: { critical: true, check: () => artifacts.check() },
    redis: { critical: false, check: async () => void (await redis.ping().then(() => state.requireSound())) },
    workers: { critical: false, check: () => refuseUnpolled(connection, namespace, taskQueue) },
    models: { critical: false, check: async () => refuseAway(await reports.fresh()) },
  };
}

async function refuseUnpolled(connection: Connection, namespace: string, taskQueue: string): Promise<void> {
  const [workflows, stages] = await Promise.all(
    (['workflows', 'stages'] as const).map((what) => pollersOf(connection, namespace, taskQueue, what)),
  );
  if (workflows?.length && stages?.length) return;
  throw away(`no worker polls the task queue "${taskQueue}": runs are accepted but wait for a worker`);
}

function refuseAway(reports: readonly PoolReport[]): void {
  if (reports.length === 0) throw away(`no worker has reported on its model servers for ${FRESH_MS / 1000} s`);
  const pools = new Set(reports.flatMap((report) => Object.keys(report)));
  const missing = [...pools].flatMap((pool) => {
    // Workers may reach different servers: a pool's state is that seen by the worker that reaches most of it.
    const [best] = reports.flatMap((report) => report[pool] ?? []).sort((a, b) => a.away / a.of - b.away / b.of);
    return best === undefined || best.away === 0
      ? []
      : [`${pool} (${best.away} of ${best.of} endpoints do not answer)`];
  });
  if (missing.length > 0) throw away(`model servers are away: ${missing.join(', ')}`);
}

const away = (message: string) => new MillraceError('BACKEND_UNAVAILABLE', message);
