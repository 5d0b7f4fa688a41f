import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { isUnderWay } from '../../temporal/run-status.js';

/** Interval of the checks, in milliseconds: half of the time in which a cancelled call has to end. */
const POLL_MS = 500;

/**
 * Timeout of a check, in milliseconds. The SDK's own timeout with retries is more than ten seconds, so a hanging connection would stop
 * the checks.
 */
const ANSWER_MS = 1_000;

interface Watch {
  readonly listeners: Set<() => void>;
  timer: NodeJS.Timeout | undefined;
}

/** The watches of a client, by run; all segments of a run share one. */
const watches = new WeakMap<Client, Map<string, Watch>>();

/**
 * Checks periodically whether a run has been cancelled or closed, and calls `ending` once. A local activity keeps its workflow task open,
 * so a cancellation reaches the workflow only with the next task: after the activity, or after 8 seconds. A segment that is shorter than
 * the interval costs no check. A run named by its id alone, which has been there and is not any more, has been erased after its end.
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
  // A closure of its own, even if two segments pass the same function.
  const listener = () => ending();
  watch.listeners.add(listener);
  return {
    stop() {
      watch.listeners.delete(listener);
      if (watch.listeners.size > 0 || runs.get(key) !== watch) return;
      clearTimeout(watch.timer);
      runs.delete(key);
    },
  };
}

function begin(client: Client, workflowId: string, runId: string | undefined, over: () => void): Watch {
  const handle = client.workflow.getHandle(workflowId, runId);
  const watch: Watch = { listeners: new Set(), timer: undefined };
  // It may not have been started yet. One whose workflow waits for this process is not given up: its workflow would wait for a cancellation.
  let known = false;
  const next = () => {
    if (watch.listeners.size > 0) watch.timer = setTimeout(check, POLL_MS);
  };
  const check = async () => {
    try {
      const { status, raw } = await client.withDeadline(Date.now() + ANSWER_MS, () => handle.describe());
      known = runId === undefined;
      if (isUnderWay(status.name) && !raw.workflowExtendedInfo?.cancelRequested) return next();
    } catch (error) {
      // While Temporal is unavailable, nobody can have cancelled the run through it.
      if (!known || !(error instanceof WorkflowNotFoundError)) return next();
    }
    if (watch.listeners.size > 0) over();
    for (const listener of watch.listeners) listener();
  };
  watch.timer = setTimeout(check, POLL_MS);
  return watch;
}
