import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { SharedLooks } from './shared-looks.js';

const looksOf = new WeakMap<Client, SharedLooks<WorkflowExecutionDescription>>();

/** Describes a run. Concurrent calls for the same run share one request: many at once would use up Temporal's rate limit. */
export function describeRun(temporal: Client, id: string): Promise<WorkflowExecutionDescription> {
  const looks = looksOf.get(temporal) ?? new SharedLooks();
  looksOf.set(temporal, looks);
  const look = () => temporal.workflow.getHandle(id).describe();
  return looks.of(id, () => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, look));
}
