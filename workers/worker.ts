import { once } from 'node:events';
import { DefaultLogger, type LogEntry, Runtime, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { connectWorker } from '../temporal/connect.js';
import { ensureSearchAttributes } from '../temporal/search-attributes.js';
import { workerActivities } from './activities.js';
import { ActivitySlots } from './activity-slots.js';
import { workflowSource } from './bundle.js';
import { createCodeWorkers } from './code-workers.js';
import { composeStages } from './compose.js';
import { createDeviceWorkers } from './device-worker.js';
import { temporalServer } from './endpoints.js';
import { HEARTBEAT_THROTTLE_MS } from './heartbeat.js';
import { createFastWorker } from './hosts/fast-worker.js';
import { workerSinks } from './hosts/sinks.js';
import { serveMetrics } from './http-server.js';
import { createLogger } from './logger.js';
import { watchPools } from './pool-watch.js';
import type { Settings } from './settings.js';
import { createWebhookWorker } from './webhooks.js';

/**
 * Workflow tasks at once. A segment keeps its run's task open, waiting or running; with Temporal's default of 40 as many long
 * ones would leave no task to any other run of the worker.
 */
const WORKFLOW_TASKS = 256;

/**
 * How long Temporal waits for the worker that has a run in its cache before another takes its next task or query; 10 s by
 * default. A worker that lives takes one within milliseconds, and one that is dead must not keep a person's decision, or a query
 * within the gateway's 5 s, waiting. Too short it would cost a busy worker a replay.
 */
const STICKY_MS = 2_000;

/** `millrace worker`: runs workflows and stages until SIGTERM or SIGINT, then lets running stages end. */
export async function runWorker(settings: Settings): Promise<void> {
  const logger = createLogger(settings, 'worker');
  Runtime.install({ logger: temporalLogger(logger) });
  const stages = await composeStages(settings, logger);
  const temporal = temporalServer(settings);
  const connection = await connectWorker(temporal);
  await ensureSearchAttributes(connection, settings.TEMPORAL_NAMESPACE);
  const slots = new ActivitySlots(settings.MILLRACE_MAX_ACTIVITIES);
  const worker = await Worker.create({
    connection,
    namespace: settings.TEMPORAL_NAMESPACE,
    taskQueue: settings.MILLRACE_TASK_QUEUE,
    ...workflowSource(),
    activities: workerActivities(stages, ending(settings.MILLRACE_SHUTDOWN_GRACE_MS)),
    sinks: workerSinks(stages),
    maxCachedWorkflows: 2 * WORKFLOW_TASKS,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
    tuner: {
      workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: WORKFLOW_TASKS },
      activityTaskSlotSupplier: slots.supplier(),
      localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: settings.MILLRACE_MAX_ACTIVITIES },
      nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
    },
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
  const code = await createCodeWorkers({ connection, settings, stages, slots });
  const webhooks = await createWebhookWorker(settings, { connection, metrics: stages.metrics, logger });
  const ready = () => worker.getState() === 'RUNNING';
  const devices = settings.MILLRACE_DEVICES && (await createDeviceWorkers({ connection, settings, stages }));
  const fast = createFastWorker({ settings, stages, connection, logger });
  const watch = watchPools(stages, settings.MILLRACE_TASK_QUEUE);
  const server = await serveMetrics(settings.MILLRACE_WORKER_METRICS_PORT, stages.metrics.registry, ready);
  logger.info(
    {
      temporal: temporal.TEMPORAL_ADDRESS,
      taskQueue: settings.MILLRACE_TASK_QUEUE,
      devices: settings.MILLRACE_DEVICES,
      pipelines: stages.pipelines.map(({ name }) => name),
    },
    'worker starts',
  );
  try {
    // A signal ends all of them, and what breaks one leaves the others of no use.
    const all = [worker, webhooks, ...code, ...(devices ? [devices] : [])];
    await Promise.all(all.map((each) => each.run().finally(() => all.forEach(stop))));
  } finally {
    await watch.stop();
    await fast?.stop();
    server.close();
    await connection.close();
    await stages.close();
    logger.info({}, 'worker ended');
  }
}

/** Aborts this long after the process is asked to end, in milliseconds. */
function ending(graceMs: number): AbortSignal {
  const end = new AbortController();
  const later = () => setTimeout(() => end.abort(), graceMs).unref();
  for (const signal of ['SIGTERM', 'SIGINT']) void once(process, signal).then(later);
  return end.signal;
}

function stop(worker: { shutdown(): void }): void {
  try {
    worker.shutdown();
  } catch {
    // It has ended by itself.
  }
}

/** Temporal's own lines in the worker's log, in the same form. */
function temporalLogger(logger: Logger): DefaultLogger {
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  return new DefaultLogger('INFO', ({ level, message, meta }: LogEntry) =>
    logger[levels[level]]({ ...meta, from: 'temporal' }, message),
  );
}
