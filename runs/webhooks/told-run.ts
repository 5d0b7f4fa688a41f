import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { deliveryId, WEBHOOK_WORKFLOW, type WebhookOrder, webhookQueue } from '../../pipelines/run/index.js';
import type { RunDeps } from '../deps.js';
import { TEMPORAL_DEADLINE_MS } from '../orchestrator.js';

/**
 * How long the answer waits for a worker to start the run that a delivery holds, in milliseconds: a worker takes 20 ms. With
 * none there the run is accepted and starts when one comes.
 */
const STARTS_MS = 2_000;
const LOOK_MS = 10;

/**
 * Starts the delivery of a run's end, which starts the run as its child: one start, so that no crash in between can leave a run
 * of whose end nobody is told. Returns the run as it is then, or undefined where no worker has started it yet.
 */
export async function startTold(
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
      // The run's own: whoever asks for the run before a worker has started it is answered from here.
      memo: { ...memo },
      staticSummary: `tells how ${pipeline} has ended`,
    }),
  );
  const handle = temporal.workflow.getHandle(id);
  for (const end = Date.now() + STARTS_MS; Date.now() < end; await sleep(LOOK_MS)) {
    try {
      return await temporal.withDeadline(end, () => handle.describe());
    } catch (error) {
      // The delivery is started: whatever Temporal does now, the run is accepted.
      if (!(error instanceof WorkflowNotFoundError)) return undefined;
    }
  }
  return undefined;
}

/** The delivery that is going to start a run which is not there yet. Throws what Temporal's client throws. */
export const deliveryOf = (
  { temporal }: Pick<RunDeps, 'temporal'>,
  run: string,
): Promise<WorkflowExecutionDescription> => temporal.workflow.getHandle(deliveryId(run)).describe();
