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

/** Runs that are remembered: more than wait in a worker at once. */
const MOST_PASSED = 10_000;

/** The runs whose tasks this process has passed on to other workers. */
export class PassedTasks {
  readonly #runs = new Set<string>();

  /** Whether the run's task is to be passed on; false when it was, and has come back: then the run waits before the next time. */
  pass(runId: string): boolean {
    if (this.#runs.delete(runId)) return false;
    const [oldest] = this.#runs;
    if (this.#runs.size >= MOST_PASSED && oldest !== undefined) this.#runs.delete(oldest);
    this.#runs.add(runId);
    return true;
  }
}
