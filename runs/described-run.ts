import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { SharedRequests } from './shared-requests.js';

const requestsOf = new WeakMap<Client, SharedRequests<WorkflowExecutionDescription>>();

/** Describes a run. Concurrent calls for the same run share one request: many at once would use up Temporal's rate limit. */
export function describeRun(temporal: Client, id: string): Promise<WorkflowExecutionDescription> {
  const requests = requestsOf.get(temporal) ?? new SharedRequests();
  requestsOf.set(temporal, requests);
  const request = () => temporal.workflow.getHandle(id).describe();
  return requests.of(id, () => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, request));
}
