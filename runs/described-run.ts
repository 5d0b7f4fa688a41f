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
  /** Not started yet: the description is that of its delivery workflow, which will start it. */
  readonly accepted?: true;
  /** It was cancelled before it was started, and never is; when, in ISO 8601. */
  readonly cancelledAt?: string;
}

/** A run that has been started. Throws the errors of Temporal's client. */
export async function startedRun(temporal: Client, id: string): Promise<SeenRun> {
  const description = await describeRun(temporal, id);
  return { description, running: isOpen(description.status.name) };
}

/** A run that has been started, or that its delivery will start. Throws the errors of Temporal's client. */
export async function seenRun(temporal: Client, id: string): Promise<SeenRun> {
  try {
    return await startedRun(temporal, id);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const description = await describeRun(temporal, deliveryId(id));
    const cancelledAt = cancelledIn(description);
    if (cancelledAt !== undefined) return { description, running: false, accepted: true, cancelledAt };
    // The delivery has ended after its run, which Temporal no longer has.
    if (!isOpen(description.status.name)) throw error;
    return { description, running: true, accepted: true };
  }
}

/** From the memo of a delivery. */
function cancelledIn({ memo }: WorkflowExecutionDescription): string | undefined {
  const at = memo?.[CANCELLED_MEMO];
  return typeof at === 'string' ? at : undefined;
}
