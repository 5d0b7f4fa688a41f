import type { Context } from '@temporalio/activity';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';

/** Longest wait for Temporal's answer, in milliseconds. */
const ANSWER_MS = 1_000;

/** Statuses of runs that have not ended. */
const UNDER_WAY: ReadonlySet<string> = new Set(['RUNNING', 'PAUSED']);

interface DescribedRun {
  readonly status: WorkflowExecutionDescription['status'];
  /** The activity. Undefined: the run does not wait for it. */
  readonly pending: NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number] | undefined;
}

/** The status of an activity's run, and the activity if the run lists it as pending. Throws if Temporal does not answer in time. */
export async function describedRun({ info, client }: Context): Promise<DescribedRun> {
  const { workflowId = '', runId } = info.workflowExecution ?? {};
  const { status, raw } = await client.withDeadline(Date.now() + ANSWER_MS, () =>
    client.workflow.getHandle(workflowId, runId).describe(),
  );
  return { status, pending: raw.pendingActivities?.find(({ activityId }) => activityId === info.activityId) };
}

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
