import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolReports, type Pools } from '../activities/pools/index.js';
import type { Stages } from './compose.js';

/** Interval of a worker's reports on its pools, in milliseconds; a worker counts as gone after three. */
const EVERY_MS = 5_000;

/**
 * Reports to the gateways, through Redis, which endpoints of the worker's pools do not answer. They are checked by a
 * request for the model's fingerprint, which computes nothing.
 */
export function watchPools(
  { pools, redis }: Pick<Stages, 'pools' | 'redis'>,
  taskQueue: string,
): { stop(): Promise<void> } {
  const reports = new PoolReports(redis, taskQueue);
  const worker = randomUUID();
  const over = new AbortController();
  const watching = watch(pools, (report) => reports.store(worker, report), over.signal);
  return {
    async stop() {
      over.abort();
      await watching;
      await reports.leave(worker).catch(() => undefined);
    },
  };
}

/** Never rejects: a report that Redis rejects is repeated at the next interval. */
async function watch(
  pools: Pools,
  send: (report: Awaited<ReturnType<Pools['reach']>>) => Promise<void>,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const report = await pools.reach(over);
    if (!over.aborted) await send(report).catch(() => undefined);
    await sleep(EVERY_MS, undefined, { signal: over }).catch(() => undefined);
  }
}
