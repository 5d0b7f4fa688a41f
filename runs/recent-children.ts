import type { Client } from '@temporalio/client';
import { MillraceError } from '../pipelines/errors.js';
import { millisecondsOf } from '../temporal/timestamp.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** One execution of a workflow. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/** Temporal's visibility shows an execution within this time of its start at the latest, in milliseconds; mostly it takes less than a second. */
const SHOWN_MS = 60_000;
/** After this time since the end of a run, in milliseconds, all that it has started is shown, also where the clocks of gateway and Temporal differ. */
const SETTLED_MS = 300_000;

/** Events of a page, each of which may have 2 MB, and most pages that are read for one run. */
const PAGE = 50;
const MOST_PAGES = 400;

interface Ended {
  readonly run: string;
  /** When the run ended, by Temporal's clock. */
  readonly endedAt: Date | undefined;
}

/**
 * The executions of child runs that have started so late that Temporal's visibility may not show them: those that are named in what the histories
 * of the given executions, and of these children, have of the last minute of the run and since. None for a run that ended more than five minutes ago.
 * Throws `RUN_NOT_ENDED` if there is more to read than 20,000 events.
 * @param executions of the run, and those of its child runs that may have started others since then
 */
export async function recentChildren(
  temporal: Client,
  { run, endedAt = new Date() }: Ended,
  executions: readonly Execution[],
): Promise<readonly Execution[]> {
  if (Date.now() - endedAt.getTime() > SETTLED_MS) return [];
  const since = shownBefore(endedAt);
  const known = new Set(executions.map(({ runId }) => runId));
  const todo = [...executions];
  const found: Execution[] = [];
  let pages = 0;
  // Each one may add others.
  for (const one of todo) {
    let nextPageToken: Uint8Array | undefined;
    do {
      pages += 1;
      if (pages > MOST_PAGES) throw tooMany(run);
      const page = await lastEvents(temporal, one, nextPageToken);
      const late = page.events.filter(({ at }) => at >= since);
      for (const { names } of late) {
        if (names === undefined || known.has(names.runId) || !isOf(run, names)) continue;
        known.add(names.runId);
        todo.push(names);
        found.push(names);
      }
      nextPageToken = late.length < page.events.length ? undefined : page.nextPageToken;
    } while (nextPageToken !== undefined);
  }
  return found;
}

/** What has ended before this time, in milliseconds since 1970, has started nothing that may not be shown. */
export const shownBefore = (endedAt: Date): number => endedAt.getTime() - SHOWN_MS;

const isOf = (run: string, { workflowId }: Execution): boolean =>
  workflowId === run || workflowId.startsWith(`${run}/`);

interface Seen {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** The execution that the event names: a child, or the one before or after in the same workflow. */
  readonly names: Execution | undefined;
}

/** Events of an execution, the latest first; none if Temporal does not have it any more. */
async function lastEvents(
  temporal: Client,
  execution: Execution,
  nextPageToken: Uint8Array | undefined,
): Promise<{ readonly events: readonly Seen[]; readonly nextPageToken: Uint8Array | undefined }> {
  const { namespace } = temporal.options;
  const asked = { namespace, execution, maximumPageSize: PAGE, ...(nextPageToken && { nextPageToken }) };
  try {
    const page = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.workflowService.getWorkflowExecutionHistoryReverse(asked),
    );
    const events = (page.history?.events ?? []).map((event): Seen => {
      const { eventTime } = event;
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
      // One that goes on in a new history, or is retried by Temporal, names the next, and that names it.
      const beside =
        event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ||
        event.workflowExecutionFailedEventAttributes?.newExecutionRunId ||
        event.workflowExecutionTimedOutEventAttributes?.newExecutionRunId ||
        event.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
      const runId = child?.runId || beside;
      const workflowId = child?.workflowId || execution.workflowId;
      return { at: eventTime ? millisecondsOf(eventTime) : 0, names: runId ? { workflowId, runId } : undefined };
    });
    return { events, nextPageToken: page.nextPageToken?.length ? page.nextPageToken : undefined };
  } catch (error) {
    if (isNotFound(error)) return { events: [], nextPageToken: undefined };
    throw fromTemporal(error, execution.workflowId);
  }
}

const tooMany = (run: string): MillraceError =>
  new MillraceError(
    'RUN_NOT_ENDED',
    `the run ${run} has ended lately, and has started too much to look for all of it; erase it in five minutes`,
  );
