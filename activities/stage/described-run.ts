import type { Context } from '@temporalio/activity';
import type { WorkflowExecutionDescription } from '@temporalio/client';

/** Longest wait for Temporal's answer, in milliseconds. */
const ANSWER_MS = 1_000;

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
