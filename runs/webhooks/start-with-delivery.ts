import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { queueOrder } from '../../pipelines/plan/index.js';
import { deliveryId, WEBHOOK_WORKFLOW, type WebhookOrder, webhookQueue } from '../../pipelines/run/index.js';
import type { RunDeps } from '../deps.js';
import { TEMPORAL_DEADLINE_MS } from '../orchestrator.js';

/**
 * How long the response waits for a worker to start the run of a delivery, in milliseconds; a worker takes 20 ms. Without a worker the
 * run is accepted and starts later.
 */
const STARTS_MS = 2_000;
/** Pauses between looks at the run, in milliseconds: each is twice the one before. Where workers are late, many starts look at the same time. */
const PAUSE_MS = { first: 10, longest: 320 };

/**
 * Starts the delivery workflow of a run, which starts the run as its child: a single start, so that a crash cannot leave a run without
 * its delivery. Returns the run's description, or undefined if no worker has started it yet.
 */
export async function startWithDelivery(
  { temporal, taskQueue }: Pick<RunDeps, 'temporal' | 'taskQueue'>,
  order: Omit<WebhookOrder, 'queue'> & { readonly of: Extract<WebhookOrder['of'], { run: unknown }> },
): Promise<WorkflowExecutionDescription | undefined> {
  const { id, pipeline, memo } = order.of.run;
  await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
    temporal.workflow.start(WEBHOOK_WORKFLOW, {
      workflowId: deliveryId(id),
      taskQueue,
      args: [{ ...order, queue: webhookQueue(taskQueue) } satisfies WebhookOrder],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      priority: queueOrder(order.tenant),
      // The run's memo: requests for the run are answered from it until a worker has started the run.
      memo: { ...memo },
      staticSummary: `tells how ${pipeline} has ended`,
    }),
  );
  const handle = temporal.workflow.getHandle(id);
  const end = Date.now() + STARTS_MS;
  for (let pauseMs = PAUSE_MS.first; Date.now() < end; pauseMs = Math.min(PAUSE_MS.longest, 2 * pauseMs)) {
    try {
      return await temporal.withDeadline(end, () => handle.describe());
    } catch (error) {
      // The delivery is started: the run is accepted even if Temporal is unavailable now.
      if (!(error instanceof WorkflowNotFoundError)) return undefined;
    }
    await sleep(pauseMs);
  }
  return undefined;
}

/** Describes the delivery workflow of a run that is not started yet. Throws the errors of Temporal's client. */
export const deliveryOf = (
  { temporal }: Pick<RunDeps, 'temporal'>,
  run: string,
): Promise<WorkflowExecutionDescription> => temporal.workflow.getHandle(deliveryId(run)).describe();
