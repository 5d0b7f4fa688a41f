import { createHash, randomUUID } from 'node:crypto';
import {
  defineSearchAttributeKey,
  SearchAttributeType,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/common';
import type { Pipeline } from '../pipelines/definition/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import { PRIORITY_KEYS } from '../pipelines/plan/index.js';
import {
  GUARDIAN_DELAY_MS,
  OUTCOME_SIGNAL,
  type RunContext,
  SEARCH_ATTRIBUTES,
  type SegmentOutcome,
  type WebhookTarget,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../pipelines/run/index.js';
import type { RunDeps } from './deps.js';
import { describeRun } from './described-run.js';
import type { RunOptions } from './options.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { webhookTargets } from './webhooks/targets.js';
import { deliveryOf, startTold } from './webhooks/told-run.js';

/** What the gateway keeps with a run to answer for it later; Temporal shows it beside the run. */
export interface RunMemo {
  readonly tenant: string;
  readonly pipeline: string;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Hash of what was asked for: an idempotency key stands for one of it. */
  readonly fingerprint: string;
  /** Who is told of the run's end. */
  readonly webhooks?: readonly WebhookTarget[];
  /** The run where this one goes on. */
  readonly resumedFrom?: string;
}

export interface StartedRun {
  readonly id: string;
  /** Temporal's id of the execution; unknown of a run that was there before. */
  readonly executionId?: string;
  readonly memo: RunMemo;
  /** The run had been started before, under the same idempotency key. */
  readonly replayed: boolean;
}

export interface RunRequest {
  readonly id: string;
  readonly pipeline: Pick<Pipeline, 'name' | 'description' | 'plan'>;
  readonly tenant: string;
  /** Whose conversations the run’s are; absent: its pipeline’s. */
  readonly owner?: string | undefined;
  readonly input: JsonObject;
  readonly idempotencyKey?: string | undefined;
  readonly options?: RunOptions | undefined;
  /** Whether somebody may watch the run. */
  readonly events?: boolean;
  /** Where the caller waits for the result. */
  readonly answerTo?: string | undefined;
  /** Name of the journal under which a fast host runs it. */
  readonly guarded?: string;
  /** It goes on where this run has ended. */
  readonly resumes?: { readonly id: string } & Pick<RunContext, 'decisions' | 'sessionsOf'> &
    Pick<RunMemo, 'fingerprint' | 'webhooks'>;
}

/**
 * Time beyond the plan's deadline after which Temporal itself ends the run. The workflow keeps its own deadline, but that
 * takes a worker; without one a run would stay open for ever.
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
export async function startRun(deps: RunDeps, request: RunRequest): Promise<StartedRun> {
  const { id, pipeline, tenant, options, guarded, resumes } = request;
  const told = { tenant, pipeline: pipeline.plan.name, webhook: options?.webhook };
  const webhooks = resumes ? (resumes.webhooks ?? []) : webhookTargets(deps.webhooks, told);
  const { memo, ...rest } = optionsOf(deps, request);
  if (webhooks.length > 0) return await startWithWebhooks(deps, request, { ...memo, webhooks });
  try {
    const handle = await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      deps.temporal.workflow.start(pipeline.plan.name, {
        ...rest,
        memo: { ...memo },
        ...(guarded !== undefined && { startDelay: GUARDIAN_DELAY_MS }),
      }),
    );
    return { id, executionId: handle.firstExecutionRunId, memo, replayed: false };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw fromTemporal(error, id);
    return { id, memo: await sameRun(deps, id, memo), replayed: true };
  }
}

/** As `startRun`, by way of the delivery of the run's end. */
async function startWithWebhooks(deps: RunDeps, request: RunRequest, memo: RunMemo): Promise<StartedRun> {
  const { id, pipeline, tenant, input, options } = request;
  const { plan } = pipeline;
  const context = contextOf(deps, request);
  const run = {
    id,
    pipeline: plan.name,
    version: plan.version,
    args: [input, context as unknown as Json] as const,
    memo: memo as unknown as JsonObject,
    timeoutMs: plan.deadlineMs + BACKSTOP_MS,
    ...(options?.priority && { priorityKey: PRIORITY_KEYS[options.priority] }),
  };
  try {
    const seen = await startTold(deps, { tenant, targets: memo.webhooks ?? [], of: { run } });
    const there = asRunMemo(seen?.memo);
    // A run that was started without a webhook may hold the id.
    if (there && there.createdAt !== memo.createdAt) return { id, memo: same(there, memo), replayed: true };
    return { id, memo, replayed: false, ...(seen && { executionId: seen.runId }) };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw fromTemporal(error, id);
    return { id, memo: await sameRun(deps, id, memo), replayed: true };
  }
}

/**
 * Ends a guardian's delay with the outcome of its run; with null it runs the segment itself. A plain signal would wait for the
 * delay to end: one that may start the workflow does not. The run is there, so this starts none.
 */
export async function tellGuardian(deps: RunDeps, request: RunRequest, outcome: SegmentOutcome | null): Promise<void> {
  const { memo, ...options } = optionsOf(deps, request);
  const signal = { signal: OUTCOME_SIGNAL, signalArgs: [outcome] };
  await deps.temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
    deps.temporal.workflow.signalWithStart(request.pipeline.plan.name, { ...options, memo: { ...memo }, ...signal }),
  );
}

export function contextOf(deps: RunDeps, request: RunRequest): RunContext {
  const { pipeline, tenant, owner, options = {}, events, answerTo, guarded, resumes } = request;
  const { decisions = {}, sessionsOf } = resumes ?? {};
  const { webhook: _, ...wanted } = options;
  return {
    plan: pipeline.plan,
    placement: deps.placementOf(pipeline.plan),
    tenant,
    ...(owner !== undefined && { sessionsOf: `${pipeline.plan.name}/${owner}` }),
    ...wanted,
    ...(events && { events }),
    ...(answerTo !== undefined && { answerTo }),
    ...(guarded !== undefined && { guarded }),
    ...(sessionsOf !== undefined && { sessionsOf }),
    ...(Object.keys(decisions).length > 0 && { decisions }),
  };
}

function optionsOf(deps: RunDeps, request: RunRequest) {
  const { id, pipeline, tenant, input, options = {}, resumes } = request;
  const { plan } = pipeline;
  const memo: RunMemo = {
    tenant,
    pipeline: plan.name,
    version: plan.version,
    createdAt: new Date().toISOString(),
    fingerprint: resumes?.fingerprint ?? jsonHash({ pipeline: plan.name, input, ...options } as JsonObject),
    ...(resumes && { resumedFrom: resumes.id }),
  };
  return {
    memo,
    workflowId: id,
    taskQueue: deps.taskQueue,
    args: [input, contextOf(deps, request)] as [JsonObject, RunContext],
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    workflowRunTimeout: plan.deadlineMs + BACKSTOP_MS,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
    ...(options.priority && { priority: { priorityKey: PRIORITY_KEYS[options.priority] } }),
    typedSearchAttributes: [
      { key: PIPELINE, value: plan.name },
      { key: VERSION, value: plan.version },
      { key: TENANT, value: tenant },
    ],
    staticSummary: `${plan.name} · ${plan.version}${resumes ? ` · resumes ${resumes.id}` : ''}`,
    ...(pipeline.description !== '' && { staticDetails: pipeline.description.slice(0, MOST_DETAILS) }),
  };
}

/** The id of a run that is going to be started. */
export function runId({ pipeline, tenant, idempotencyKey }: Omit<RunRequest, 'id' | 'input'>): string {
  if (idempotencyKey === undefined) return `${pipeline.name}-${randomUUID()}`;
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, pipeline.name, idempotencyKey]))
    .digest('hex');
  return `${pipeline.name}-${hash.slice(0, 32)}`;
}

/** The memo of the run that holds the id already, which must have been asked for the same. */
async function sameRun(deps: RunDeps, id: string, wanted: RunMemo): Promise<RunMemo> {
  return same(await memoOf(deps, id), wanted);
}

function same(memo: RunMemo | undefined, wanted: RunMemo): RunMemo {
  if (memo?.fingerprint === wanted.fingerprint && memo.tenant === wanted.tenant) return memo;
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

/** A workflow's memo as the gateway wrote it, or undefined for a workflow that is no run. */
export function asRunMemo(memo: Record<string, unknown> | undefined): RunMemo | undefined {
  const names = ['tenant', 'pipeline', 'version', 'createdAt', 'fingerprint'] as const;
  return names.every((name) => typeof memo?.[name] === 'string') ? (memo as unknown as RunMemo) : undefined;
}
