import { MillraceError } from '../pipelines/errors.js';
import { deliveryId, replayId } from '../pipelines/run/index.js';
import { millisecondsOf } from '../temporal/timestamp.js';
import type { Caller } from './caller.js';
import type { RunDeps } from './deps.js';
import { latestExecution } from './described-run.js';
import { asRunMemo, type RunMemo } from './memo.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { findRun, resumptionThere } from './read.js';
import { type Execution, recentChildren, shownBefore } from './recent-children.js';
import { notEnded } from './recorded.js';
import { SearchPace } from './search-pace.js';

/** Executions listed at once. */
const PAGE = 100;

/**
 * Most resumptions of a run, each of the one before, that are looked at: one that is under way behind them ends with `RECORD_GONE` where it
 * needs the record.
 */
const MOST_RESUMPTIONS = 100;

/**
 * Erases a run that has ended: its histories, those of its child runs and of its deliveries, its events, its record, its journals and channels,
 * and its subscriptions. Of a run that Temporal has removed, whose delivery it still has, the rest is erased. What a call that is still under way, in a
 * worker that does not know of the end, writes to them later is dropped, and it opens no journal and no channel.
 * Temporal removes a history some seconds later, after its own tasks for it. Artifacts stay, since other runs may have the same bytes; their own
 * retention ends them. The large values of its record are among them, sealed with keys that were in it. Throws `RUN_NOT_FOUND`, `RUN_NOT_ENDED`
 * (also of one that ended a moment ago, and started more than can be looked for), `RATE_LIMITED`, `REQUEST_ABORTED` if the client leaves a search that
 * takes several turns, before anything is erased, and `ORCHESTRATOR_UNAVAILABLE` and `STORE_UNAVAILABLE`: then it may be partly erased, and erasing it
 * again goes on. A run that another erasure has removed meanwhile is erased: what has its id then is another run, of which this one touches nothing
 * unless it is started within the round trip before the first deletion.
 * @param gone aborts when the client has left
 */
export async function eraseRun(deps: RunDeps, id: string, caller: Caller, gone: AbortSignal): Promise<void> {
  const { running, description, memo, accepted } = await findRun(deps, id, caller, true);
  if (running) throw await notEnded(deps, id, 'the run is still running; cancel it first, or wait for it to end');
  await deps.list.turn?.(caller.tenant);
  const needing = await neededBy(deps, id, memo);
  if (needing !== undefined) {
    const message = `the run ${needing}, which resumes it and needs its record, is still running; cancel that first, or wait for it to end`;
    throw new MillraceError('RUN_NOT_ENDED', message);
  }
  // By name: the index lags, and one that it does not show yet would go on sending.
  const senders = memo.webhooks ? [replayId(id), ...(accepted ? [] : [deliveryId(id)])] : [];
  const sending = await Promise.all(senders.map((sender) => senderOf(deps, sender, memo)));
  // What shows the run. Of one that was cancelled before it was started, or that Temporal has removed, that is its delivery, which has its input.
  const itself = { workflowId: accepted ? deliveryId(id) : id, runId: description.runId };
  const pace = new SearchPace(deps.list, caller.tenant, gone);
  const erased = { itself, endedAt: description.closeTime, accepted };
  const all = await belongingTo(deps, id, erased, pace).finally(() => pace.end());
  all.push(...sending.flatMap((each) => each ?? []));
  if ((await latestExecution(deps.temporal, itself.workflowId))?.runId !== itself.runId) return;
  // Another one has got the id of a run that Temporal had removed.
  if (accepted && (await latestExecution(deps.temporal, id))) return;
  await deps.erasure?.erase(id);
  await deps.events.erase?.(id);
  await deps.records?.erase?.(id);
  await deps.subscriptions?.erase({ tenant: caller.tenant, run: id });
  await deps.sentResults?.erase(id);
  // It comes last: while it is there, erasing can be asked for again.
  const isOwn = ({ workflowId }: Execution) => workflowId === id;
  const children = all.map(({ workflowId }) => workflowId).filter((each) => each.startsWith(`${id}/`));
  for (const child of new Set(children)) await deps.erasure?.erase(child);
  for (const each of [...all.filter((one) => !isOwn(one)), ...all.filter(isOwn), itself]) await erase(deps, each);
}

/** The run that is under way and reads the record of this one: it resumes it, or a run that has resumed it. */
async function neededBy({ temporal }: RunDeps, id: string, memo: RunMemo): Promise<string | undefined> {
  try {
    let next = await resumptionThere(temporal, id, memo);
    for (let looked = 1; next && !next.running && looked < MOST_RESUMPTIONS; looked++) {
      next = await resumptionThere(temporal, next.id, memo);
    }
    return next?.running ? next.id : undefined;
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

interface Erased {
  /** The latest execution of the run, or its delivery. */
  readonly itself: Execution;
  readonly endedAt: Date | undefined;
  /** The run was never started, or Temporal has removed it. */
  readonly accepted: true | undefined;
}

/** The other executions of a run, those of its child runs and of its deliveries, also of child runs that Temporal's index does not show yet. */
async function belongingTo(
  deps: RunDeps,
  run: string,
  { itself, endedAt, accepted }: Erased,
  pace: SearchPace,
): Promise<Execution[]> {
  const isBefore = isStartedBy(endedAt, run);
  const shown = (await executionsOf(deps, run, pace)).filter((each) => each.runId !== itself.runId && isBefore(each));
  const all = shown.map(({ workflowId, runId }): Execution => ({ workflowId, runId }));
  if (accepted) return all;
  const since = shownBefore(endedAt ?? new Date());
  const mayHaveStarted = ({ workflowId, endedAt: end = since }: Listed) =>
    end >= since && (workflowId === run || workflowId.startsWith(`${run}/`));
  const starters = [itself, ...shown.filter(mayHaveStarted)];
  all.push(...(await recentChildren(deps.temporal, { run, endedAt }, starters, pace)));
  return all;
}

/**
 * The execution of what sends a run's results; undefined if there is none, or if it is that of a later run with the same id: the one that erases
 * second must not take the delivery of the run that was started in between.
 */
async function senderOf(deps: RunDeps, workflowId: string, { createdAt }: RunMemo): Promise<Execution | undefined> {
  const found = await latestExecution(deps.temporal, workflowId);
  const itsRun = asRunMemo(found?.memo)?.createdAt;
  return found && (itsRun === undefined || itsRun === createdAt) ? { workflowId, runId: found.runId } : undefined;
}

/** What belongs to a run had started when the run ended, except a replay; what started later is of another run with its id. */
const isStartedBy =
  (endedAt: Date | undefined, run: string) =>
  ({ workflowId, startedAt }: Listed) =>
    endedAt === undefined ||
    startedAt === undefined ||
    Math.floor(startedAt) <= endedAt.getTime() ||
    workflowId === replayId(run);

interface Listed extends Execution {
  /** In milliseconds since 1970. */
  readonly startedAt: number | undefined;
  /** In milliseconds since 1970; undefined also of one whose end is not shown yet. */
  readonly endedAt: number | undefined;
}

/**
 * The executions of a run, of its child runs and of its deliveries. A question for each hundred of them, the first one in the turn of the erasure:
 * all tenants share the few that Temporal answers in a second.
 */
async function executionsOf({ temporal }: RunDeps, run: string, pace: SearchPace): Promise<readonly Listed[]> {
  const { namespace } = temporal.options;
  const named = [run, deliveryId(run), replayId(run)];
  const query = `${named.map((id) => `WorkflowId = '${id}'`).join(' OR ')} OR WorkflowId STARTS_WITH '${run}/'`;
  // What is deleted does not depend on how a store compares: SQLite's LIKE does not tell capitals from small letters.
  const belongs = (id: string) => named.includes(id) || id.startsWith(`${run}/`);
  const found: Listed[] = [];
  let nextPageToken: Uint8Array = new Uint8Array();
  try {
    do {
      if (nextPageToken.length > 0) await pace.turn();
      const page = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
        temporal.workflow.workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE, nextPageToken }),
      );
      for (const { execution, startTime, closeTime } of page.executions ?? []) {
        const { workflowId, runId } = execution ?? {};
        const startedAt = startTime ? millisecondsOf(startTime) : undefined;
        const endedAt = closeTime ? millisecondsOf(closeTime) : undefined;
        if (workflowId && runId && belongs(workflowId)) found.push({ workflowId, runId, startedAt, endedAt });
      }
      nextPageToken = page.nextPageToken ?? new Uint8Array();
    } while (nextPageToken.length > 0);
  } catch (error) {
    throw fromTemporal(error, run);
  }
  return found;
}

async function erase({ temporal }: RunDeps, workflowExecution: Execution): Promise<void> {
  const { namespace } = temporal.options;
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.workflowService.deleteWorkflowExecution({ namespace, workflowExecution }),
    );
  } catch (error) {
    if (isNotFound(error)) return;
    throw fromTemporal(error, workflowExecution.workflowId);
  }
}
