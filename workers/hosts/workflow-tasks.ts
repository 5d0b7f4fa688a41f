import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';

/** Timeout of a call to Temporal, in milliseconds. */
const ANSWER_MS = 1_000;

/**
 * How many of the latest events of a history are read. A long local activity completes its task about every two seconds, with three
 * events; a lost attempt is much closer than this.
 */
const EVENTS = 200;

/**
 * Whether this is the first attempt of the run's workflow task, so that no other worker can have begun what it schedules; false if
 * Temporal is unavailable. The attempt number alone is not enough: a long local activity completes its task in between, and the next
 * task counts from 1. Lost and failed tasks stay in the history.
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

/** Time for the workflow to reach its pause, in milliseconds: each completed task makes it sticky to its worker again. */
const COMPLETED_MS = 500;

/**
 * Resets the sticky task queue of the run, so that any worker can take its next workflow task. A reset that comes too early or fails has
 * no effect; it is repeated after the run's next pause.
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
    // The run has ended, or Temporal is unavailable.
  }
}
