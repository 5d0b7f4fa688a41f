import { Context } from '@temporalio/activity';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { createWebhookActivities, WEBHOOK_SLOTS } from '../activities/webhooks/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Pipeline } from '../pipelines/index.js';
import { webhookQueue } from '../pipelines/run/index.js';
import { readRun } from '../runs/read.js';
import { webhookEventOf } from '../runs/webhooks/event.js';
import { RedisSubscriptions } from '../stores/subscriptions/index.js';
import type { Metrics } from '../telemetry/metrics.js';
import { endpointsOf, runPages } from './endpoints.js';
import { openWebhooks } from './open-webhooks.js';
import type { Settings } from './settings.js';

/** A worker for webhook attempts, with its own queue and slots: a receiver that hangs delays no run. */
export async function createWebhookWorker(
  settings: Settings,
  {
    connection,
    redis,
    pipelines,
    metrics,
    logger,
  }: {
    readonly connection: NativeConnection;
    /** The state store. */
    readonly redis: Redis;
    readonly pipelines: readonly Pipeline[];
    readonly metrics: Metrics;
    readonly logger: Logger;
  },
): Promise<Worker> {
  const namespace = settings.TEMPORAL_NAMESPACE;
  const config = openWebhooks(settings, logger);
  const uiUrl = runPages(endpointsOf(settings).temporalUi, namespace);
  const notifications = notificationsOf(pipelines);
  const activities = createWebhookActivities({
    config,
    subscriptions: new RedisSubscriptions(redis),
    notificationOf: async (...given) => await (await notifications()).of(...given),
    metrics,
    logger,
    async eventOf(tenant, run) {
      const { document } = await readRun({ temporal: Context.current().client, uiUrl, webhooks: config }, run, {
        tenant,
      });
      // Temporal's services may briefly disagree; the activity is retried.
      if (document.status === 'running') throw new MillraceError('RUN_NOT_ENDED', `run ${run} has not ended yet`);
      return webhookEventOf(document);
    },
  });
  return await Worker.create({
    connection,
    namespace,
    taskQueue: webhookQueue(settings.MILLRACE_TASK_QUEUE),
    activities,
    maxConcurrentActivityTaskExecutions: WEBHOOK_SLOTS,
    shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
}

/** Loaded with the first: most workers send none, and a door takes a while to load. */
function notificationsOf(pipelines: readonly Pipeline[]) {
  const load = async () => new (await import('../gateway/a2a/notifications.js')).Notifications(pipelines);
  let loaded: ReturnType<typeof load> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}
