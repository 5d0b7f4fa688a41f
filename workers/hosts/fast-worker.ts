import { once } from 'node:events';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import { FastJobQueue } from '../../stores/jobs/index.js';
import type { Stages } from '../compose.js';
import type { Settings } from '../settings.js';
import { openStore } from '../stores.js';
import { type FastHostParts, runFastJob } from './fast-host.js';

export interface FastWorker {
  /** Stops taking jobs and lets running ones finish within the grace period; the others are continued by their guardians. */
  stop(): Promise<void>;
}

/** The worker's side of the fast path: runs jobs until the process shuts down. Undefined if the fast path is off. */
export function createFastWorker(parts: {
  readonly settings: Settings;
  readonly stages: Stages;
  readonly connection: NativeConnection;
  readonly logger: Logger;
}): FastWorker | undefined {
  const { settings, stages, connection, logger } = parts;
  if (settings.MILLRACE_FAST_PATH === 'off') return undefined;
  const blocking = openStore(settings, 'state', logger, FastJobQueue.WAIT_MS + settings.MILLRACE_REDIS_TIMEOUT_MS);
  const client = new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE });
  const { runner, redis, losses } = stages;
  const worker = serveFastJobs(new FastJobQueue(blocking, settings.MILLRACE_TASK_QUEUE), {
    parts: { runner, redis, losses, client, logger },
    most: settings.MILLRACE_MAX_ACTIVITIES,
    graceMs: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
  for (const signal of ['SIGTERM', 'SIGINT']) void once(process, signal).then(() => worker.stop());
  return worker;
}

interface ServeOptions {
  readonly parts: FastHostParts;
  /** Most concurrent runs. */
  readonly most: number;
  readonly graceMs: number;
}

/** Runs jobs from the queue until `stop`. */
export function serveFastJobs(queue: FastJobQueue, { parts, most, graceMs }: ServeOptions): FastWorker {
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();
  let stopped: Promise<void> | undefined;
  const take = async () => {
    while (!stopped) {
      if (running.size >= most) await Promise.race(running);
      const job = await queue.take();
      if (!job) continue;
      const run = runFastJob(job, parts, stopping.signal).finally(() => running.delete(run));
      running.add(run);
    }
  };
  const taking = take();
  const stop = async () => {
    queue.close();
    // Before the loop ends: with all places taken it waits until a run has ended.
    const grace = setTimeout(() => stopping.abort(), graceMs);
    await taking;
    await Promise.all(running);
    clearTimeout(grace);
  };
  return {
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
