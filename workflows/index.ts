import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ApplicationFailure,
  ContinueAsNew,
  continueAsNew,
  defineQuery,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import {
  type RunContext,
  type RunResult,
  SEARCH_ATTRIBUTES,
  STAGES_QUERY,
  type StageRecord,
  WAITING_QUERY,
} from '../pipelines/plan/index.js';
import { interpret, StageError } from './interpreter/index.js';
import { TemporalHost } from './temporal-host.js';

export { webhookDelivery } from './webhooks/index.js';

const stagesQuery = defineQuery<readonly StageRecord[]>(STAGES_QUERY);
const waitingQuery = defineQuery<readonly string[]>(WAITING_QUERY);
const cacheHit = defineSearchAttributeKey(SEARCH_ATTRIBUTES.cacheHit, 'BOOL');

/**
 * The workflow of runs: it serves every workflow type that is no export's name, so that a run is typed by its pipeline's name,
 * and interprets the plan that came with the run. A failure carries a code of the error table as its type and the stage table in its details.
 */
// biome-ignore lint/style/noDefaultExport: Temporal takes the default export as the workflow of every type
export default async function run(input: JsonObject, context: RunContext): Promise<RunResult> {
  let host: TemporalHost | undefined;
  try {
    const own = new TemporalHost(context);
    host = own;
    setHandler(stagesQuery, () => own.stages);
    setHandler(waitingQuery, () => own.waiting);
    const result = await interpret(input, context, own);
    if (own.busy) await own.settled();
    if ('carried' in result) {
      const carried = { ...result.carried, messages: own.messages };
      return await continueAsNew<typeof run>(input, { ...context, carried });
    }
    const cached = result.stages.filter((stage) => stage.cache !== undefined && stage.cache !== 'off');
    if (cached.length > 0) {
      const hit = cached.some((stage) => stage.cache === 'hit' || stage.cache === 'shared');
      upsertSearchAttributes([{ key: cacheHit, value: hit }]);
    }
    return result;
  } catch (error) {
    if (host?.busy) await host.settled();
    throw asFailure(error);
  }
}

/**
 * Temporal retries a workflow task for ever on a plain error; a failure that is thrown ends the run. What is neither a
 * stage's failure nor Temporal's own (a cancellation, a new history) is a bug and fails the run as INTERNAL.
 */
function asFailure(error: unknown): unknown {
  if (error instanceof StageError) {
    return ApplicationFailure.create({
      type: error.code,
      message: error.message,
      nonRetryable: true,
      details: [error.details],
    });
  }
  if (error instanceof ContinueAsNew) return error;
  if (error instanceof Error && 'failure' in error) return error;
  if (error instanceof Error && error.name.endsWith('Failure')) return error;
  if (error instanceof Error && error.name === 'DeterminismViolationError') return error;
  return ApplicationFailure.create({
    type: 'INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    nonRetryable: true,
    ...(error instanceof Error && { cause: error }),
  });
}
