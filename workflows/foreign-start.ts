import { ActivityFailure, ApplicationFailure, defineSearchAttributeKey } from '@temporalio/common';
import {
  CancellationScope,
  proxyLocalActivities,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { type PreparedStart, type RunContext, SEARCH_ATTRIBUTES, type StartCall } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { taskTime } from './activity-options.js';
import { takes } from './changes.js';

type Prepare = (input: JsonObject, call: StartCall) => Promise<PreparedStart>;

const PIPELINE = defineSearchAttributeKey(SEARCH_ATTRIBUTES.pipeline, 'KEYWORD');
const VERSION = defineSearchAttributeKey(SEARCH_ATTRIBUTES.version, 'KEYWORD');
const TENANT = defineSearchAttributeKey(SEARCH_ATTRIBUTES.tenant, 'KEYWORD');

/** A larger start, in bytes, fills the message of its workflow task: the first stages begin in the next one. */
const LARGE_BYTES = 500_000;

/** Whether the second argument of a run is that of a gateway, or of an earlier history of the run. */
export const isContext = (given: unknown): given is RunContext =>
  isJsonObject(given) && isJsonObject(given.plan as Json | undefined);

/**
 * Prepares a run that a client or workflow of any SDK has started with the pipeline's input, and options at most: its
 * worker checks the input and decides what a gateway decides. The result is in the history, so the run keeps its plan.
 * Rejects with a `StageError`.
 */
export async function prepareStart(input: Json | undefined, options: Json | undefined): Promise<PreparedStart> {
  const { prepare } = proxyLocalActivities<{ prepare: Prepare }>({
    startToCloseTimeout: 10_000,
    retry: { initialInterval: 200, maximumAttempts: 3 },
    summary: 'checks the input and prepares the run',
  });
  const { workflowType: pipeline, firstExecutionRunId, originalExecutionRunId, cronSchedule } = workflowInfo();
  // All runs of a cron schedule are one chain of Temporal's.
  const chain = cronSchedule === undefined ? firstExecutionRunId : originalExecutionRunId;
  const start = { pipeline, input: input ?? null, options: options ?? null, chain };
  try {
    // A local activity that is cancelled just as it ends costs the run a workflow task.
    const prepared = await CancellationScope.nonCancellable(() => prepare({}, { start, ...taskTime() }));
    const { plan, tenant } = prepared.context;
    upsertMemo(prepared.memo);
    upsertSearchAttributes([
      { key: PIPELINE, value: plan.name },
      { key: VERSION, value: plan.version },
      { key: TENANT, value: tenant },
    ]);
    if (bytesOf(prepared as unknown as Json) > LARGE_BYTES && takes('large-commands-leave-room')) await sleep(1);
    return prepared;
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
    if (!(cause instanceof ApplicationFailure)) throw error;
    throw new StageError(cause.type ?? 'INTERNAL', cause.message, (cause.details?.[0] ?? {}) as JsonObject);
  }
}
