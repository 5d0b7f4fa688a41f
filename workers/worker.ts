import { once } from 'node:events';
import { IllegalStateError } from '@temporalio/common';
import { DefaultLogger, type LocalActivitySlotInfo, type LogEntry, Runtime, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { messageOf } from '../pipelines/errors.js';
import { WaitingRoom } from '../runtime/waiting-room.js';
import { watchedFilesGauge } from '../runtime/watched-file.js';
import { connectWorker } from '../temporal/connect-worker.js';
import { ensureSearchAttributes } from '../temporal/search-attributes.js';
import { workerActivities } from './activities.js';
import { ActivitySlots } from './activity-slots.js';
import { workflowSource } from './bundle.js';
import { createCodeWorkers } from './code-workers.js';
import { composeStages } from './compose.js';
import { createDeviceWorkers } from './device-worker.js';
import { temporalServer } from './endpoints.js';
import { openForeignStarts } from './foreign-starts.js';
import { HEARTBEAT_THROTTLE_MS } from './heartbeat.js';
import { holdSignals } from './hold-signals.js';
import { createFastWorker } from './hosts/fast-worker.js';
import { workerSinks } from './hosts/sinks.js';
import { serveMetrics } from './http-server.js';
import { createLogger } from './logger.js';
import { nexusService } from './nexus.js';
import { fileOfPipelines } from './pipelines.js';
import { watchPools } from './pool-watch.js';
import { runTogether, stopAll } from './run-together.js';
import type { Settings } from './settings.js';
import { requireOneTemporal } from './temporal-packages.js';
import { logUnhandledRejections } from './unhandled-rejections.js';
import { createWebhookWorker } from './webhooks.js';

/**
 * Concurrent workflow tasks. A segment keeps its run's workflow task open for as long as it waits or runs; with
 * Temporal's default of 40, that many long segments would block all other runs of the worker.
 */
const WORKFLOW_TASKS = 256;

/** Concurrent starts of runs by Nexus, each one call of Temporal. A worker without a Nexus service polls for none. */
const NEXUS_TASKS = 16;

/**
 * Results that wait without a slot, those of one tenant half as many (`WaitingRoom`): some 180 MB of large ones. Beyond that a result keeps its
 * slot, so that the worker does not begin what it cannot hold.
 */
const WAITING_RESULTS = 256;

/**
 * How long Temporal waits for the worker that has a run in its cache before it offers the next task or query to
 * another; Temporal's default is 10 s. A live worker takes one within milliseconds, and a dead one must not delay a
 * person's decision, or a query, whose timeout in the gateway is 5 s. A shorter time would cost a busy worker replays.
 */
const STICKY_MS = 2_000;

/**
 * `millrace worker`: runs workflows and stages until SIGTERM or SIGINT, or until `end` aborts, then lets running stages
 * finish.
 */
export async function runWorker(settings: Settings, end?: AbortSignal): Promise<void> {
  requireOneTemporal();
  const logger = createLogger(settings, 'worker');
  // A program that runs this as a part of it decides for itself, also below.
  const signals = end === undefined ? holdSignals() : undefined;
  installRuntime(logger);
  const stages = await composeStages(settings, logger);
  const stopLogging = end === undefined ? logUnhandledRejections(logger, stages.metrics.registry) : undefined;
  watchedFilesGauge(stages.metrics.registry);
  const module = fileOfPipelines(settings);
  if (module !== undefined) void import('./scan/index.js').then(({ logMistakes }) => logMistakes(module, logger));
  const temporal = temporalServer(settings);
  const connection = await connectWorker(temporal);
  await ensureSearchAttributes(connection, settings.TEMPORAL_NAMESPACE);
  const slots = new ActivitySlots(settings.MILLRACE_MAX_ACTIVITIES);
  const localSlots = new ActivitySlots(settings.MILLRACE_MAX_ACTIVITIES, new WaitingRoom(WAITING_RESULTS));
  const starts = await openForeignStarts(settings, stages.pipelines, logger);
  const worker = await Worker.create({
    connection,
    namespace: settings.TEMPORAL_NAMESPACE,
    taskQueue: settings.MILLRACE_TASK_QUEUE,
    ...workflowSource(),
    activities: workerActivities(
      { ...stages, slots, localSlots },
      ending(end, settings.MILLRACE_SHUTDOWN_GRACE_MS),
      starts.prepare,
    ),
    sinks: workerSinks(stages),
    ...(settings.MILLRACE_NEXUS === 'on' && { nexusServices: [nexusService(stages.pipelines)] }),
    maxCachedWorkflows: 2 * WORKFLOW_TASKS,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
    tuner: {
      workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: WORKFLOW_TASKS },
      activityTaskSlotSupplier: slots.supplier(),
      localActivityTaskSlotSupplier: localSlots.supplier<LocalActivitySlotInfo>(),
      nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: NEXUS_TASKS },
    },
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
  const code = await createCodeWorkers({ connection, settings, stages, slots });
  const webhooks = await createWebhookWorker(settings, { connection, ...stages, logger });
  const ready = () => worker.getState() === 'RUNNING';
  const devices = settings.MILLRACE_DEVICES && (await createDeviceWorkers({ connection, settings, stages }));
  const fast = createFastWorker({ settings, stages, connection, logger });
  const watch = watchPools(stages, settings.MILLRACE_TASK_QUEUE);
  const { MILLRACE_WORKER_METRICS_HOST: host, MILLRACE_WORKER_METRICS_PORT: port } = settings;
  const server = await serveMetrics({ host, port }, stages.metrics.registry, ready);
  logger.info(
    {
      temporal: temporal.TEMPORAL_ADDRESS,
      taskQueue: settings.MILLRACE_TASK_QUEUE,
      devices: settings.MILLRACE_DEVICES,
      pipelines: stages.pipelines.map(({ name }) => name),
    },
    'worker started',
  );
  try {
    // A signal ends all workers; if one fails the others are of no use.
    const all = [worker, webhooks, ...code, ...(devices ? [devices] : [])];
    end?.addEventListener('abort', () => stopAll(all), { once: true });
    const running = runTogether(all, settings.MILLRACE_SHUTDOWN_GRACE_MS);
    // A worker that does not run yet cannot be stopped.
    if (end?.aborted) stopAll(all);
    await running;
  } finally {
    await watch.stop();
    await fast?.stop();
    starts.close();
    server.close();
    await connection.close().catch((error: unknown) => {
      logger.warn({ error: messageOf(error) }, 'the connection to Temporal stays open');
    });
    await stages.close();
    stopLogging?.();
    logger.info({}, 'worker ended');
    signals?.release();
  }
}

/** Aborts `graceMs` after the process receives a signal to end, or `end` aborts. */
function ending(end: AbortSignal | undefined, graceMs: number): AbortSignal {
  const over = new AbortController();
  const later = () => setTimeout(() => over.abort(), graceMs).unref();
  for (const signal of ['SIGTERM', 'SIGINT']) void once(process, signal).then(later);
  end?.addEventListener('abort', later, { once: true });
  return over.signal;
}

/** A program with workers of its own has a runtime, which then logs as that program says. */
function installRuntime(logger: Logger): void {
  try {
    Runtime.install({ logger: temporalLogger(logger) });
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error;
  }
}

/** Writes Temporal's log lines to the worker's log in the same format. */
function temporalLogger(logger: Logger): DefaultLogger {
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  return new DefaultLogger('INFO', ({ level, message, meta }: LogEntry) =>
    logger[levels[level]]({ ...meta, from: 'temporal' }, message),
  );
}
