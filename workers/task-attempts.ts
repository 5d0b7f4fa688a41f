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

/** A run whose task this worker has passed on, and which came back to it, is not passed on again within this time, in milliseconds. */
const PASS_EVERY_MS = 5_000;
/** Runs that are remembered: more than wait in a worker at once. */
const MOST_PASSED = 10_000;

/** The runs whose tasks this process has passed on to other workers, and when. */
export class PassedTasks {
  readonly #at = new Map<string, number>();

  /** Whether the run's task may be passed on now; it then counts as passed on. */
  pass(runId: string, now: number = performance.now()): boolean {
    const before = this.#at.get(runId);
    if (before !== undefined && now - before < PASS_EVERY_MS) return false;
    this.#at.delete(runId);
    const [oldest] = this.#at.keys();
    if (this.#at.size >= MOST_PASSED && oldest !== undefined) this.#at.delete(oldest);
    this.#at.set(runId, now);
    return true;
  }
}
