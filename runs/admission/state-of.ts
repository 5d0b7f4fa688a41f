import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { seenRun } from '../described-run.js';
import type { RunState } from './run-slots.js';

/** The state of a run by Temporal's own record; its visibility index may lag. One that its delivery has not started yet is running. */
export async function stateOf(temporal: Client, runId: string): Promise<RunState> {
  try {
    return (await seenRun(temporal, runId)).running ? 'running' : 'ended';
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? 'absent' : 'unknown';
  }
}
