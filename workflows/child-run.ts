import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { CancellationScope, executeChild, isCancellation, ParentClosePolicy, workflowInfo } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { queueOrder, type SubPipelinePlan } from '../pipelines/plan/index.js';
import {
  childEvents,
  type RunContext,
  type RunResult,
  SEARCH_ATTRIBUTES,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../pipelines/run/index.js';
import { AROUND_BYTES, planBytes } from './command-bytes.js';
import { childError } from './failures.js';

const pipelineKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.pipeline, 'KEYWORD');
const versionKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.version, 'KEYWORD');
const tenantKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.tenant, 'KEYWORD');

/**
 * Runs a pipeline of a pipeline as a child workflow. Rejects with the step's `StageError`.
 * @param room resolves when the current workflow task has room for a command of this size; undefined: it has
 */
export async function childRun(
  step: SubPipelinePlan,
  input: JsonObject,
  context: RunContext,
  path: string,
  room: (bytes: number) => Promise<void> | undefined,
): Promise<RunResult> {
  const { plan, tenant } = context;
  const { workflowId } = workflowInfo();
  try {
    // Its context is made of these, and small.
    const waiting = room(bytesOf(input) + planBytes(step.plan) + planBytes(context.placement) + AROUND_BYTES);
    if (waiting !== undefined) await waiting;
    return (await executeChild(plan.name, {
      workflowId: `${workflowId}/${path}`,
      args: [input, { ...context, ...childEvents(context, workflowId, path) }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
      priority: queueOrder(tenant),
      staticSummary: `${path} of ${workflowId}`,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: pipelineKey, value: plan.name },
        { key: versionKey, value: plan.version },
        { key: tenantKey, value: tenant },
      ]),
    })) as RunResult;
  } catch (error) {
    // If the child alone was cancelled, that is the child's failure, not this run's cancellation.
    throw isCancellation(error) && CancellationScope.current().consideredCancelled ? error : childError(step.id, error);
  }
}
