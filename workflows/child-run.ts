import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { CancellationScope, executeChild, isCancellation, ParentClosePolicy, workflowInfo } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { queueOrder, type SubPipelinePlan } from '../pipelines/plan/index.js';
import { asksPeople } from '../pipelines/plan/people.js';
import {
  childEvents,
  type RunContext,
  type RunResult,
  SEARCH_ATTRIBUTES,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { AROUND_BYTES, planBytes } from './command-bytes.js';
import { childError } from './failures.js';
import type { Deadline } from './interpreter/index.js';
import type { Begin } from './pending-work.js';

const pipelineKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.pipeline, 'KEYWORD');
const versionKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.version, 'KEYWORD');
const tenantKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.tenant, 'KEYWORD');

/** What a child run needs from the host of its run. */
export interface ChildHost {
  /** Resolves when the current workflow task has room for a command of this size; undefined: it has. */
  room(bytes: number): Promise<void> | undefined;
  /** Begins the child as soon as the run has a place for it. */
  readonly begin: Begin;
  /** What a child that may wait for people is given of the waits that are told. */
  share(to: string): Pick<RunContext, 'waitsTo' | 'mostTold'>;
  /** Of the run: a child that has waited for its place ends with it. */
  readonly deadline: Deadline | undefined;
}

/** Runs a pipeline of a pipeline as a child workflow. Rejects with the step's `StageError`. */
export async function childRun(
  step: SubPipelinePlan,
  input: JsonObject,
  context: RunContext,
  path: string,
  { room, begin, share, deadline }: ChildHost,
): Promise<RunResult> {
  const { plan, tenant } = context;
  const { workflowId } = workflowInfo();
  const start = (own: RunContext): Promise<unknown> =>
    executeChild(plan.name, {
      workflowId: `${workflowId}/${path}`,
      args: [input, { ...telling(own, step, share), ...childEvents(own, workflowId, path) }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
      priority: queueOrder(tenant),
      staticSummary: `${path} of ${workflowId}`,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: pipelineKey, value: plan.name },
        { key: versionKey, value: plan.version },
        { key: tenantKey, value: tenant },
      ]),
    });
  try {
    // Its context is made of these, and small.
    const bytes = bytesOf(input) + planBytes(step.plan) + planBytes(context.placement) + AROUND_BYTES;
    const waiting = room(bytes);
    if (waiting !== undefined) await waiting;
    const begun = begin((waitedMs) => {
      if (waitedMs === 0) return start(context);
      const own = limited(context, step.id, deadline);
      const more = room(bytes);
      return more !== undefined ? more.then(() => start(own)) : start(own);
    });
    return (await begun) as RunResult;
  } catch (error) {
    if (error instanceof StageError) throw error;
    // If the child alone was cancelled, that is the child's failure, not this run's cancellation.
    throw isCancellation(error) && CancellationScope.current().consideredCancelled ? error : childError(step.id, error);
  }
}

/** The context of a child run with its share of the waits that are told, if it may have any. */
function telling(context: RunContext, { plan }: SubPipelinePlan, share: ChildHost['share']): RunContext {
  const { waitsTo, ...rest } = context;
  return waitsTo !== undefined && asksPeople(plan) ? { ...rest, ...share(waitsTo) } : context;
}

/** The context of a child run with what is left of the run's deadline. Throws `DEADLINE_EXCEEDED` if nothing is. */
function limited(context: RunContext, step: string, deadline: Deadline | undefined): RunContext {
  if (deadline === undefined) return context;
  const leftMs = deadline.shareOf(step);
  if (leftMs <= 0) throw deadline.exceeded(step);
  const { plan } = context;
  return { ...context, plan: { ...plan, deadlineMs: Math.min(plan.deadlineMs, leftMs) } };
}
