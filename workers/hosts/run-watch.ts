import type { Client } from '@temporalio/client';

/** A run that is asked to end reaches its segments within this time and an answer of Temporal's: half of what a call has to end in. */
const LOOK_MS = 500;

/**
 * Longest that a look waits for Temporal's answer, in milliseconds: one on a connection that hangs would be the last, for the
 * SDK's own limit is ten seconds and more with its retries.
 */
const ANSWER_MS = 1_000;

interface Watch {
  readonly told: Set<() => void>;
  timer: NodeJS.Timeout | undefined;
}

/** The watches of a worker's client, by run: the segments of a run share one, however many run at once. */
const watches = new WeakMap<Client, Map<string, Watch>>();

/**
 * Looks whether a run has been asked to end, or has been ended, and tells once. A local activity keeps the task of its
 * workflow open, and what happens to the run in the meantime reaches the workflow with the next task: when the activity has
 * ended, or after 8 seconds. Temporal itself knows at once. A segment shorter than a look costs none.
 */
export function watchRun(
  client: Client,
  workflowId: string,
  runId: string | undefined,
  ending: () => void,
): { stop(): void } {
  const runs = watches.get(client) ?? new Map<string, Watch>();
  watches.set(client, runs);
  const key = `${workflowId}:${runId}`;
  const watch = runs.get(key) ?? begin(client, workflowId, runId, () => runs.delete(key));
  runs.set(key, watch);
  // Each its own, even if two segments give the same function.
  const tell = () => ending();
  watch.told.add(tell);
  return {
    stop() {
      watch.told.delete(tell);
      if (watch.told.size > 0 || runs.get(key) !== watch) return;
      clearTimeout(watch.timer);
      runs.delete(key);
    },
  };
}

function begin(client: Client, workflowId: string, runId: string | undefined, over: () => void): Watch {
  const handle = client.workflow.getHandle(workflowId, runId);
  const watch: Watch = { told: new Set(), timer: undefined };
  const next = () => {
    if (watch.told.size > 0) watch.timer = setTimeout(look, LOOK_MS);
  };
  const look = async () => {
    try {
      const { status, raw } = await client.withDeadline(Date.now() + ANSWER_MS, () => handle.describe());
      if (status.name === 'RUNNING' && !raw.workflowExtendedInfo?.cancelRequested) return next();
    } catch {
      // Temporal is away: it cannot have been told that the run should end.
      return next();
    }
    if (watch.told.size > 0) over();
    for (const tell of watch.told) tell();
  };
  watch.timer = setTimeout(look, LOOK_MS);
  return watch;
}
