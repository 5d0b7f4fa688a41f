import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { CANCELLED_MEMO, deliveryId } from '../pipelines/run/index.js';
import { isOpen } from '../temporal/run-status.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { SharedRequests } from './shared-requests.js';

const requestsOf = new WeakMap<Client, SharedRequests<WorkflowExecutionDescription>>();

/** Describes a run. Concurrent calls for the same run share one request: many at once would use up Temporal's rate limit. */
export function describeRun(temporal: Client, id: string): Promise<WorkflowExecutionDescription> {
  const requests = requestsOf.get(temporal) ?? new SharedRequests();
  requestsOf.set(temporal, requests);
  const request = () => temporal.workflow.getHandle(id).describe();
  return requests.of(id, () => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, request));
}

/** What Temporal knows of the latest execution with an id; undefined if there is none. Throws `ORCHESTRATOR_UNAVAILABLE`. */
export async function latestExecution(
  temporal: Client,
  workflowId: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await describeRun(temporal, workflowId);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw fromTemporal(error, workflowId);
  }
}

/** A run as Temporal has it. */
export interface SeenRun {
  readonly description: WorkflowExecutionDescription;
  /** Whether it has not ended. */
  readonly running: boolean;
  /** The description is that of its delivery workflow: it is not started yet, was cancelled before that, or Temporal has removed it. */
  readonly accepted?: true;
  /** It was cancelled before it was started, and never is; when, in ISO 8601. */
  readonly cancelledAt?: string;
}

/** A run that has been started. Throws the errors of Temporal's client. */
export async function startedRun(temporal: Client, id: string): Promise<SeenRun> {
  const description = await describeRun(temporal, id);
  return { description, running: isOpen(description.status.name) };
}

/**
 * A run that has been started, or that its delivery will start. Throws the errors of Temporal's client.
 * @param removedToo whether to find one that Temporal has removed by its delivery, which may still try its receivers
 */
export async function seenRun(temporal: Client, id: string, removedToo = false): Promise<SeenRun> {
  const started = () => startedRun(temporal, id).catch(undefinedIfGone);
  const first = await started();
  if (first) return first;
  const description = await describeRun(temporal, deliveryId(id));
  // It may have been started, and have ended, between the two answers.
  const seen = acceptedIn(description, id) ?? (await started());
  if (seen) return seen;
  if (!removedToo) throw new WorkflowNotFoundError('the run has ended, and Temporal has removed it', id, undefined);
  return { description, running: false, accepted: true };
}

function undefinedIfGone(error: unknown): undefined {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

/** A run that its delivery will start, or that was cancelled before; undefined if it has been started. */
export function acceptedIn(description: WorkflowExecutionDescription, id: string): SeenRun | undefined {
  const cancelledAt = cancelledIn(description);
  if (cancelledAt !== undefined) return { description, running: false, accepted: true, cancelledAt };
  const { status, raw } = description;
  // Its first task is pending until a worker has completed it, a later one only until a worker takes it. From the first one on the run is a child,
  // until it has ended.
  const starts = raw.pendingWorkflowTask || raw.pendingChildren?.some(({ workflowId }) => workflowId === id);
  return isOpen(status.name) && starts ? { description, running: true, accepted: true } : undefined;
}

/** From the memo of a delivery. */
function cancelledIn({ memo }: WorkflowExecutionDescription): string | undefined {
  const at = memo?.[CANCELLED_MEMO];
  return typeof at === 'string' ? at : undefined;
}
