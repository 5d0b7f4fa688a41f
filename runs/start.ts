import {
  defineSearchAttributeKey,
  SearchAttributeType,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { MillraceError } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { PRIORITY_KEYS, queueOrder } from '../pipelines/plan/index.js';
import {
  deliveryId,
  GUARDIAN_DELAY_MS,
  OUTCOME_SIGNAL,
  outcomeSignal,
  type RunToStart,
  SEARCH_ATTRIBUTES,
  type SegmentOutcome,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../pipelines/run/index.js';
import { ageOf, type Moment } from '../runtime/moment.js';
import type { RunDeps } from './deps.js';
import { acceptedIn, describeRun, latestExecution } from './described-run.js';
import { asRunMemo, type RunMemo } from './memo.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { mayExist, type PreparedRun } from './prepare.js';
import { deliveryOf, startWithDelivery } from './webhooks/start-with-delivery.js';

export interface StartedRun {
  readonly id: string;
  /** Temporal's id of the execution; absent for a run that existed before. */
  readonly executionId?: string;
  readonly memo: RunMemo;
  /** The run was started before, with the same idempotency key. */
  readonly replayed: boolean;
}

/**
 * Temporal's timeout of the run, beyond the plan's deadline, in milliseconds. The workflow keeps the deadline itself, but only while a
 * worker runs it.
 */
export const BACKSTOP_MS = 30_000;

/**
 * What the Temporal UI shows of a pipeline's description, in UTF-16 units. Temporal refuses to start a workflow whose details
 * have more than 20 000 bytes, and a unit is at most three.
 */
const MOST_DETAILS = 4_000;

const searchKey = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const PIPELINE = searchKey(SEARCH_ATTRIBUTES.pipeline);
const VERSION = searchKey(SEARCH_ATTRIBUTES.version);
const TENANT = searchKey(SEARCH_ATTRIBUTES.tenant);

/**
 * Starts a run as a Temporal workflow typed by the pipeline's name. With an idempotency key the workflow's id is derived
 * from it, so that Temporal itself keeps a second one from starting, for as long as it retains the first. The workflow of a
 * guarded run starts with a delay.
 * Throws `IDEMPOTENCY_KEY_REUSED` and `ORCHESTRATOR_UNAVAILABLE`.
 */
export async function startRun(deps: RunDeps, run: PreparedRun): Promise<StartedRun> {
  const { request, memo, webhooks, guarded } = run;
  const { id } = request;
  if (webhooks.length > 0) return await startWithWebhooks(deps, run);
  const accepted = mayExist(request) && (await acceptedBefore(deps, id));
  if (accepted) return { id, memo: same(accepted, memo), replayed: true };
  try {
    const handle = await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      deps.temporal.workflow.start(memo.pipeline, {
        ...optionsOf(deps, run),
        ...(guarded && { startDelay: GUARDIAN_DELAY_MS }),
      }),
    );
    return { id, executionId: handle.firstExecutionRunId, memo, replayed: false };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw fromTemporal(error, id);
    return { id, memo: await sameRun(deps, id, memo), replayed: true };
  }
}

/** The memo of a run that has been accepted with receivers, and that its delivery has not started yet: Temporal would start another one. */
async function acceptedBefore(deps: RunDeps, id: string): Promise<RunMemo | undefined> {
  const delivery = deps.webhooks && (await latestExecution(deps.temporal, deliveryId(id)));
  return delivery && acceptedIn(delivery, id) && asRunMemo(delivery.memo);
}

/** As `startRun`, through the delivery workflow, which starts the run as its child. */
async function startWithWebhooks(deps: RunDeps, run: PreparedRun): Promise<StartedRun> {
  const { request, context, memo, webhooks } = run;
  const { id, tenant, options } = request;
  const { summary, details } = textsOf(run);
  const order: RunToStart = {
    id,
    pipeline: memo.pipeline,
    version: memo.version,
    args: argumentsFor(run),
    memo: memo as unknown as JsonObject,
    timeoutMs: context.plan.deadlineMs + BACKSTOP_MS,
    summary,
    ...(details !== undefined && { details }),
    ...(options?.priority && { priorityKey: PRIORITY_KEYS[options.priority] }),
  };
  try {
    const seen = await startWithDelivery(deps, { tenant, targets: webhooks, of: { run: order } });
    const there = asRunMemo(seen?.memo);
    // A run that was started without a webhook may have the id.
    if (there && there.createdAt !== memo.createdAt) return { id, memo: same(there, memo), replayed: true };
    return { id, memo, replayed: false, ...(seen && { executionId: seen.runId }) };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw fromTemporal(error, id);
    return { id, memo: await sameRun(deps, id, memo), replayed: true };
  }
}

/**
 * Signals the outcome of its run to a guardian, or null, with which the guardian runs the segment. While the guardian waits for its start delay,
 * signal-with-start ends the delay, which a plain signal would not. Afterwards the run may have ended and been erased, and signal-with-start would
 * start it again: a plain signal then reaches nobody.
 * @param since from when the start delay counts: a moment before the guardian was started or, without an outcome, after that
 */
export async function signalGuardian(
  deps: RunDeps,
  run: PreparedRun,
  outcome: SegmentOutcome | null,
  since: Moment,
): Promise<void> {
  const { request, context, memo } = run;
  const { workflow } = deps.temporal;
  const signalArgs = outcomeSignal(outcome, context.guarded);
  await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, async () => {
    if (ageOf(since) < GUARDIAN_DELAY_MS)
      await workflow.signalWithStart(memo.pipeline, { ...optionsOf(deps, run), signal: OUTCOME_SIGNAL, signalArgs });
    else
      await workflow
        .getHandle(request.id)
        .signal(OUTCOME_SIGNAL, ...signalArgs)
        .catch(unlessGone);
  });
}

function unlessGone(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

function optionsOf(deps: RunDeps, run: PreparedRun) {
  const { request, context, memo } = run;
  const { id, options = {} } = request;
  const { summary, details } = textsOf(run);
  return {
    workflowId: id,
    taskQueue: deps.taskQueue,
    args: argumentsFor(run) as [JsonObject, Json, ...Json[]],
    memo: { ...memo },
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    workflowRunTimeout: context.plan.deadlineMs + BACKSTOP_MS,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
    priority: queueOrder(memo.tenant, options.priority),
    typedSearchAttributes: [
      { key: PIPELINE, value: memo.pipeline },
      { key: VERSION, value: memo.version },
      { key: TENANT, value: memo.tenant },
    ],
    staticSummary: summary,
    ...(details !== undefined && { staticDetails: details }),
  };
}

/** The workflow reads the first two; the door's notes are kept with them in the history. */
const argumentsFor = ({ request: { input, notes }, context }: PreparedRun): [JsonObject, Json, ...Json[]] => [
  input,
  context as unknown as Json,
  ...(notes ? [notes] : []),
];

/** Summary and details of the run in the Temporal UI. */
function textsOf({ request: { pipeline, resumes }, memo }: PreparedRun): { summary: string; details?: string } {
  const { description } = pipeline;
  return {
    summary: `${memo.pipeline} · tenant ${memo.tenant} · version ${memo.version}${resumes ? ` · resumes ${resumes.id}` : ''}`,
    ...(description !== '' && { details: description.slice(0, MOST_DETAILS) }),
  };
}

/** The memo of the run that has the id already. Throws `IDEMPOTENCY_KEY_REUSED` if its request was another one. */
async function sameRun(deps: RunDeps, id: string, wanted: RunMemo): Promise<RunMemo> {
  return same(await memoOf(deps, id), wanted);
}

function same(memo: RunMemo | undefined, wanted: RunMemo): RunMemo {
  const isSame = memo?.fingerprint === wanted.fingerprint || (memo?.sent !== undefined && memo.sent === wanted.sent);
  if (memo !== undefined && isSame && memo.tenant === wanted.tenant) return memo;
  const message = 'was used before with another input';
  throw new MillraceError('IDEMPOTENCY_KEY_REUSED', `Idempotency-Key ${message}`, {
    fields: [{ field: 'Idempotency-Key', message }],
  });
}

async function memoOf(deps: RunDeps, id: string): Promise<RunMemo | undefined> {
  try {
    const description = await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      describeRun(deps.temporal, id).catch((error: unknown) => {
        if (error instanceof WorkflowNotFoundError && deps.webhooks) return deliveryOf(deps, id);
        throw error;
      }),
    );
    return asRunMemo(description.memo);
  } catch (error) {
    throw fromTemporal(error, id);
  }
}
