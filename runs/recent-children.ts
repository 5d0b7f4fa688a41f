import type { Client } from '@temporalio/client';
import { MillraceError } from '../pipelines/errors.js';
import { millisecondsOf } from '../temporal/timestamp.js';
import { latestExecution } from './described-run.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import type { SearchPace } from './search-pace.js';

/** One execution of a workflow. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/** Temporal's visibility shows an execution within this time of its start at the latest, in milliseconds; mostly it takes less than a second. */
const SHOWN_MS = 60_000;
/** After this time since the end of a run, in milliseconds, all that it has started is shown, also where the clocks of gateway and Temporal differ. */
const SETTLED_MS = 300_000;

/** Events of a page, each of which may have 2 MB, and most pages that are read for one run; each execution has one at least. */
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
 * Throws `RUN_NOT_ENDED` if there is more to read than 400 pages of 50 events, `RATE_LIMITED` and `REQUEST_ABORTED`.
 * @param executions of the run, and those of its child runs that may have started others since then
 * @param pace of what is read
 */
export async function recentChildren(
  temporal: Client,
  { run, endedAt = new Date() }: Ended,
  executions: readonly Execution[],
  pace: SearchPace,
): Promise<readonly Execution[]> {
  if (Date.now() - endedAt.getTime() > SETTLED_MS) return [];
  return await new Search(temporal, { run, endedAt }, pace).from(executions);
}

class Search {
  readonly #temporal: Client;
  readonly #run: string;
  readonly #since: number;
  readonly #pace: SearchPace;
  readonly #todo: Execution[] = [];
  /** Of the executions that are known, and the ids of their workflows. */
  readonly #runIds = new Set<string>();
  readonly #ids = new Set<string>();
  #asked = 0;

  constructor(temporal: Client, { run, endedAt }: { readonly run: string; readonly endedAt: Date }, pace: SearchPace) {
    this.#temporal = temporal;
    this.#run = run;
    this.#since = shownBefore(endedAt);
    this.#pace = pace;
  }

  /** What belongs to the run, and is not among these. */
  async from(executions: readonly Execution[]): Promise<readonly Execution[]> {
    for (const one of executions) this.#add(one);
    const given = this.#todo.length;
    // Each one may add others.
    for (const one of this.#todo) {
      for (const workflowId of await this.#commandsIn(one)) {
        if (this.#ids.has(workflowId)) continue;
        this.#ids.add(workflowId);
        await this.#ask();
        const child = await latestExecution(this.#temporal, workflowId);
        if (child) this.#add({ workflowId, runId: child.runId });
      }
    }
    return this.#todo.slice(given);
  }

  /**
   * Adds the executions that the last events of one name. Returns the ids of child runs that it has asked Temporal to start: of one that Temporal
   * was starting as the execution ended, no event names the execution.
   */
  async #commandsIn(one: Execution): Promise<readonly string[]> {
    const commanded: string[] = [];
    let nextPageToken: Uint8Array | undefined;
    do {
      await this.#ask();
      const page = await lastEvents(this.#temporal, one, nextPageToken);
      const late = page.events.filter(({ at }) => at >= this.#since);
      for (const { names, starts } of late) {
        if (names && isOf(this.#run, names.workflowId)) this.#add(names);
        if (starts !== undefined && isOf(this.#run, starts)) commanded.push(starts);
      }
      nextPageToken = late.length < page.events.length ? undefined : page.nextPageToken;
    } while (nextPageToken !== undefined);
    return commanded;
  }

  /** Each costs a question at least: a search that cannot come to its end does not begin. */
  #add(one: Execution): void {
    if (this.#runIds.has(one.runId)) return;
    this.#runIds.add(one.runId);
    this.#ids.add(one.workflowId);
    this.#todo.push(one);
    if (this.#todo.length > MOST_PAGES) throw tooMany(this.#run);
  }

  async #ask(): Promise<void> {
    this.#asked += 1;
    if (this.#asked > MOST_PAGES) throw tooMany(this.#run);
    await this.#pace.history();
  }
}

/** What has ended before this time, in milliseconds since 1970, has started nothing that may not be shown. */
export const shownBefore = (endedAt: Date): number => endedAt.getTime() - SHOWN_MS;

const isOf = (run: string, workflowId: string): boolean => workflowId === run || workflowId.startsWith(`${run}/`);

interface Seen {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** The execution that the event names: a child, or the one before or after in the same workflow. */
  readonly names: Execution | undefined;
  /** The id of the child whose start is asked for. */
  readonly starts: string | undefined;
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
      const starts = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId || undefined;
      const at = eventTime ? millisecondsOf(eventTime) : 0;
      return { at, names: runId ? { workflowId, runId } : undefined, starts };
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
