import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import {
  CANCELLED_UNSTARTED,
  resumptionOf,
  STAGES_QUERY,
  type StageRecord,
  usageOfRows,
  type Wait,
  type WebhookTarget,
} from '../pipelines/run/index.js';
import { traitsOf } from '../pipelines/stages/index.js';
import { type Caller, mayUse } from './caller.js';
import type { RunDeps } from './deps.js';
import { type SeenRun, seenRun, startedRun } from './described-run.js';
import { type RunDocument, runPath, withHrefs } from './document.js';
import { asRunMemo, type RunMemo } from './memo.js';
import { fromTemporal, runNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { type EndingRun, outcomeOf, type RunOutcome } from './outcome.js';
import { SharedRequests } from './shared-requests.js';
import type { StartedRun } from './start.js';
import { pendingIn, waitingInTurn } from './waiting.js';
import { withWaits } from './waiting-for.js';

/** Timeout of a query for the stage table, in milliseconds. Without an answer the run is shown without it. */
const QUERY_MS = 1_000;

/** The form of run ids; others are rejected without a call to Temporal. */
const RUN_ID = /^[a-z][a-z0-9-]{1,127}$/;

/** A run with its input and output as stored by the workflow: artifacts without links. */
export interface RunRecord {
  readonly document: RunDocument;
  readonly input?: JsonObject;
  readonly output?: JsonObject;
  /** Receivers of its event. */
  readonly webhooks?: readonly WebhookTarget[];
}

/** What Temporal knows of a run without a query of its workflow. */
export interface FoundRun extends SeenRun {
  readonly memo: RunMemo;
}

/** Dependencies of reading a run. */
export type RunReading = Pick<RunDeps, 'temporal' | 'uiUrl' | 'webhooks'>;

/**
 * Finds a run. Throws `RUN_NOT_FOUND`, also for another tenant's and for a pipeline that the caller may not use.
 * @param removedToo as of `seenRun`
 */
export async function findRun(deps: RunReading, id: string, caller: Caller, removedToo = false): Promise<FoundRun> {
  if (!RUN_ID.test(id)) throw runNotFound(id);
  try {
    return await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, async () => {
      const seen = await (deps.webhooks ? seenRun(deps.temporal, id, removedToo) : startedRun(deps.temporal, id));
      const memo = asRunMemo(seen.description.memo);
      if (memo === undefined || memo.tenant !== caller.tenant) throw runNotFound(id);
      if (!mayUse(caller, { name: memo.pipeline })) throw runNotFound(id);
      return { ...seen, memo };
    });
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

/**
 * Reads a run. Throws as `findRun` does.
 * @param begin called before what may be large is read, for a caller who may see the run. What it throws ends the reading.
 */
export async function readRun(
  deps: RunReading,
  id: string,
  caller: Caller,
  begin?: (running: boolean) => Promise<void>,
): Promise<RunRecord> {
  const { temporal } = deps;
  const { description, memo, running, accepted, cancelledAt } = await findRun(deps, id, caller);
  if (accepted) {
    const cancelled = { status: 'cancelled', error: CANCELLED_UNSTARTED } as const;
    const seen = cancelledAt === undefined ? ({ status: 'running' } as const) : cancelled;
    return record(deps, { id, memo, description, input: undefined, seen, endedAt: cancelledAt });
  }
  await begin?.(running);
  const handle = temporal.workflow.getHandle(id);
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, async () => {
      const [input, outcome, live, resumed] = await Promise.all([
        inputOf(temporal, id, description.runId),
        running ? undefined : outcomeOf(handle),
        // A workflow in its start delay cannot be queried: a guardian waits for its fast host.
        running && !isDelayed(description)
          ? liveState(temporal, { id, tenant: memo.tenant }, pendingIn(id, description))
          : undefined,
        running || description.status.name === 'COMPLETED' ? undefined : resumptionThere(temporal, id, memo),
      ]);
      const stages = live?.stages && (await withWaits(temporal, description, live.stages));
      const seen = running ? { status: 'running' as const, ...live, ...(stages && { stages }) } : outcome;
      return record(deps, { id, memo, description, input, seen, resumedAs: resumed?.id });
    });
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

/** The document of a run that has just been started, without a call to Temporal. */
export function documentOfStarted(
  deps: Pick<RunDeps, 'uiUrl'>,
  { id, executionId, memo }: StartedRun,
  input: JsonObject,
): RunDocument {
  return {
    ...identityOf(id, memo),
    status: 'running',
    createdAt: memo.createdAt,
    input: withHrefs(input, id, 'input'),
    links: { self: runPath(id), ui: deps.uiUrl(id, executionId) },
  };
}

/** The document of a run whose outcome has just arrived, without another call to Temporal. */
export const documentOfEnded = (
  deps: Pick<RunDeps, 'uiUrl'>,
  run: StartedRun,
  input: JsonObject,
  { status, output, stages, error }: RunOutcome,
): RunDocument => ({
  ...documentOfStarted(deps, run, input),
  status,
  endedAt: new Date().toISOString(),
  ...(output && { output: withHrefs(output, run.id, 'output') }),
  ...(stages && { stages, ...usageOf(stages) }),
  ...(error && { error }),
});

function usageOf(stages: readonly StageRecord[]): Pick<RunDocument, 'usage'> {
  const usage = usageOfRows(stages);
  return { ...(usage && { usage }) };
}

const identityOf = (id: string, { pipeline, version, tenant, resumedFrom }: RunMemo) => ({
  id,
  pipeline,
  version,
  tenant,
  ...(resumedFrom !== undefined && { resumedFrom }),
});

/** The run that resumes this one, if there is one; it has the same webhooks, so its delivery may not have started it yet. */
export async function resumptionThere(
  temporal: Client,
  id: string,
  { webhooks }: RunMemo,
): Promise<{ readonly id: string; readonly running: boolean } | undefined> {
  const next = resumptionOf(id);
  try {
    const { running } = await (webhooks ? seenRun : startedRun)(temporal, next);
    return { id: next, running };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

interface Seen {
  readonly id: string;
  readonly memo: RunMemo;
  readonly description: WorkflowExecutionDescription;
  readonly input: JsonObject | undefined;
  readonly resumedAs?: string | undefined;
  /** Default: when the described workflow ended. */
  readonly endedAt?: string | undefined;
  readonly seen: RunOutcome | ({ readonly status: 'running' } & Live) | undefined;
}

/** What only the workflow of a running run knows. */
interface Live {
  readonly stages?: readonly StageRecord[];
  readonly waiting?: readonly Wait[];
}

function record(deps: RunReading, { id, memo, description, input, seen, resumedAs, ...ended }: Seen): RunRecord {
  const { endedAt = description.closeTime?.toISOString() } = ended;
  const output = seen && 'output' in seen ? seen.output : undefined;
  const error = seen && 'error' in seen ? seen.error : undefined;
  const document: RunDocument = {
    ...identityOf(id, memo),
    status: seen?.status ?? 'running',
    createdAt: memo.createdAt,
    ...(endedAt !== undefined && { endedAt }),
    ...(input && { input: withHrefs(input, id, 'input') }),
    ...(output && { output: withHrefs(output, id, 'output') }),
    ...(seen?.stages && { stages: seen.stages, ...usageOf(seen.stages) }),
    ...(seen && 'waiting' in seen && { waiting: seen.waiting }),
    ...(error && { error }),
    ...(resumedAs !== undefined && { resumedAs }),
    links: { self: runPath(id), ui: deps.uiUrl(id, description.runId) },
  };
  const { webhooks } = memo;
  return { document, ...(input && { input }), ...(output && { output }), ...(webhooks && { webhooks }) };
}

/** Events of a history whose first workflow task is over: the start, and the task scheduled, started and completed. */
const EVENTS_OF_FIRST_TASK = 4;

/**
 * Whether a run waits in its start delay, as the guardian of a fast run does: it has no waits, and cannot be queried. The times are Temporal’s, and
 * equal without a delay; this machine’s clock may be behind them.
 */
export const isDelayed = ({
  startTime,
  executionTime,
  historyLength,
}: Pick<WorkflowExecutionDescription, 'startTime' | 'executionTime' | 'historyLength'>): boolean =>
  executionTime !== undefined && executionTime.getTime() > startTime.getTime() && historyLength < EVENTS_OF_FIRST_TASK;

/** Queries the workflow, which takes a worker. */
export async function stagesOf(temporal: Client, id: string): Promise<readonly StageRecord[] | undefined> {
  try {
    return await temporal.withDeadline(Date.now() + QUERY_MS, () =>
      temporal.workflow.getHandle(id).query<readonly StageRecord[]>(STAGES_QUERY),
    );
  } catch {
    return undefined;
  }
}

/** Whether a step of the kind may wait for a person. */
const mayHaveWaits = (kind: string): boolean => kind === 'pipeline' || traitsOf({ kind })?.servedBy === 'interpreter';

const livesOf = new WeakMap<Client, SharedRequests<Live>>();

/** What only the workflow knows, asked once for all who read the run meanwhile; what is not answered is left out. */
function liveState(temporal: Client, run: EndingRun, children: readonly string[]): Promise<Live> {
  const lives = livesOf.get(temporal) ?? new SharedRequests();
  livesOf.set(temporal, lives);
  let known: readonly string[] | undefined = children;
  const live = lives.of(run.id, () => askLive(temporal, run, known));
  // If it is asked only later, further child runs may have begun by then.
  known = undefined;
  return live;
}

/** Queries the workflow, which takes a worker. */
async function askLive(temporal: Client, run: EndingRun, children?: readonly string[]): Promise<Live> {
  const until = Date.now() + QUERY_MS;
  let stages: readonly StageRecord[] | undefined;
  try {
    return await temporal.withDeadline(until, async () => {
      stages = await temporal.workflow.getHandle(run.id).query<readonly StageRecord[]>(STAGES_QUERY);
      const mayWait = stages.some(({ kind, status }) => status === 'running' && mayHaveWaits(kind));
      return { stages, waiting: mayWait ? await waitingInTurn({ temporal }, run, until, children) : [] };
    });
  } catch {
    return { ...(stages && { stages }) };
  }
}

async function inputOf(temporal: Client, workflowId: string, runId: string): Promise<JsonObject | undefined> {
  const [input = null] = await argumentsOf(temporal, workflowId, runId, 1);
  return isJsonObject(input) ? input : undefined;
}

/**
 * The arguments of a run's workflow, from the first event of its history; the first one is its input, which may be large.
 * @param options `from`: how many of the first ones are left out; `sent`: called with the bytes of all of them, which Temporal has sent
 */
export async function argumentsOf(
  temporal: Client,
  workflowId: string,
  runId: string,
  most = Number.POSITIVE_INFINITY,
  { from = 0, sent }: { readonly from?: number; readonly sent?: ((bytes: number) => void) | undefined } = {},
): Promise<readonly Json[]> {
  const { history } = await temporal.workflow.workflowService.getWorkflowExecutionHistory({
    namespace: temporal.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const given = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  sent?.(given.reduce((sum, { data }) => sum + (data?.length ?? 0), 0));
  const { payloadConverter, payloadCodecs } = temporal.options.loadedDataConverter;
  let payloads = given.slice(from, most);
  for (const codec of [...payloadCodecs].reverse()) payloads = await codec.decode(payloads);
  return payloads.map((payload) => payloadConverter.fromPayload<Json>(payload));
}
