import type { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/common';
import { describedRun } from './described-run.js';

/** Statuses of runs that have not ended. */
const UNDER_WAY: ReadonlySet<string> = new Set(['RUNNING', 'PAUSED']);

/** Whether the run still waits for the activity. If Temporal does not say, yes: an unused result costs less than a failed run. */
export async function isPending(context: Context): Promise<boolean> {
  try {
    const { status, pending } = await describedRun(context);
    // Temporal still lists the activities of a run that has ended.
    return UNDER_WAY.has(status.name) && pending !== undefined;
  } catch (error) {
    return !(error instanceof WorkflowNotFoundError);
  }
}
