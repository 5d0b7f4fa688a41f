import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolReports, type Pools } from '../activities/pools/index.js';
import type { Stages } from './compose.js';

/** How often a worker tells how its pools are, in milliseconds: three times before it counts as gone. */
const EVERY_MS = 5_000;

/**
 * Tells the gateways, by way of Redis, which endpoints of the worker's pools do not answer. They are asked for the model's
 * fingerprint, which computes nothing.
 */
export function watchPools(
  { pools, redis }: Pick<Stages, 'pools' | 'redis'>,
  taskQueue: string,
): { stop(): Promise<void> } {
  const reports = new PoolReports(redis, taskQueue);
  const worker = randomUUID();
  const over = new AbortController();
  const watching = watch(pools, (report) => reports.tell(worker, report), over.signal);
  return {
    async stop() {
      over.abort();
      await watching;
      await reports.leave(worker).catch(() => undefined);
    },
  };
}

/** Never rejects: what Redis does not take now it takes the next time. */
async function watch(
  pools: Pools,
  tell: (report: Awaited<ReturnType<Pools['reach']>>) => Promise<void>,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const report = await pools.reach(over);
    if (!over.aborted) await tell(report).catch(() => undefined);
    await sleep(EVERY_MS, undefined, { signal: over }).catch(() => undefined);
  }
}
