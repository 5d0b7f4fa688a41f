import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';

/** Longest wait for Temporal's answer, in milliseconds. */
const ANSWER_MS = 1_000;

/**
 * Events of a history that are looked at, the latest. A long local activity completes its task every two seconds or so, with
 * three events, and an attempt that was lost is far nearer than this.
 */
const EVENTS = 200;

/**
 * Whether this is the first attempt at the run's workflow task, so that no other worker can have begun what it schedules; false
 * where Temporal does not say. The number of the attempt alone does not tell: a local activity that takes long completes the
 * task in the middle, and the next one counts anew. A task that was lost or failed stays in the history.
 */
export async function isFirstAttempt(client: Client, workflowId: string, runId: string): Promise<boolean> {
  try {
    return await client.withDeadline(Date.now() + ANSWER_MS, async () => {
      const { raw } = await client.workflow.getHandle(workflowId, runId).describe();
      if (raw.pendingWorkflowTask?.attempt !== 1) return false;
      const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({
        namespace: client.options.namespace,
        execution: { workflowId, runId },
        maximumPageSize: EVENTS,
      });
      return !(history?.events ?? []).some(
        (event) => event.workflowTaskTimedOutEventAttributes ?? event.workflowTaskFailedEventAttributes,
      );
    });
  } catch {
    return false;
  }
}

/** Until the workflow has come to its pause, in milliseconds: with each task that it completes it stays with its worker. */
const COMPLETED_MS = 500;

/**
 * Lets any worker take the run's next workflow task. By itself Temporal gives it to the worker that had the last one, for as
 * long as that worker lives. A try that comes too early, or fails, changes nothing: after the run's next pause there is another.
 */
export async function passOn(client: Client, workflowId: string, runId: string): Promise<void> {
  await sleep(COMPLETED_MS, undefined, { ref: false });
  try {
    await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflowService.resetStickyTaskQueue({
        namespace: client.options.namespace,
        execution: { workflowId, runId },
      }),
    );
  } catch {
    // The run has ended, or Temporal is away.
  }
}
