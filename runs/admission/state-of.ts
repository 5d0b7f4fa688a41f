import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { isOpen } from '../../temporal/run-status.js';
import { TEMPORAL_DEADLINE_MS } from '../orchestrator.js';
import type { RunState } from './run-slots.js';

/** The state of a run by Temporal's own record; its visibility index may lag. */
export async function stateOf(temporal: Client, runId: string): Promise<RunState> {
  try {
    const { status } = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.getHandle(runId).describe(),
    );
    return isOpen(status.name) ? 'running' : 'ended';
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? 'absent' : 'unknown';
  }
}
