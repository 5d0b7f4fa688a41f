import type { Client } from '@temporalio/client';

/** A run that is asked to end reaches its segment within this time and an answer of Temporal's: half of what a call has to end in. */
const LOOK_MS = 500;

/**
 * Looks whether a run has been asked to end, or has been ended, and tells once. A local activity keeps the task of its
 * workflow open, and what happens to the run in the meantime reaches the workflow with the next task: when the activity has
 * ended, or after 8 seconds. Temporal itself knows at once. A segment shorter than a look costs none.
 */
export function watchRun(client: Client, workflowId: string, runId: string, ending: () => void): { stop(): void } {
  const handle = client.workflow.getHandle(workflowId, runId);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const next = () => {
    if (!stopped) timer = setTimeout(look, LOOK_MS);
  };
  const look = async () => {
    try {
      const { status, raw } = await handle.describe();
      if (status.name === 'RUNNING' && !raw.workflowExtendedInfo?.cancelRequested) return next();
      if (!stopped) ending();
    } catch {
      // Temporal is away: it cannot have been told that the run should end.
      next();
    }
  };
  next();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
