import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { SharedLooks } from './shared-looks.js';

const looksOf = new WeakMap<Client, SharedLooks<WorkflowExecutionDescription>>();

/** What Temporal says of a run. One question to a run is under way at a time: many at once would keep everybody else waiting. */
export function describeRun(temporal: Client, id: string): Promise<WorkflowExecutionDescription> {
  const looks = looksOf.get(temporal) ?? new SharedLooks();
  looksOf.set(temporal, looks);
  const look = () => temporal.workflow.getHandle(id).describe();
  return looks.of(id, () => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, look));
}
