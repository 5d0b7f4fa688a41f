import { Context } from '@temporalio/activity';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { bytesOf, SMALL_BYTES } from '../../pipelines/json-limits.js';
import type { LargeOutcome, RecordedCall, StageOutcome } from '../../pipelines/run/index.js';
import { asFailure } from './foreign-activity.js';
import type { StageRunner } from './stage-runner.js';

const LARGE: LargeOutcome = { large: true };

/**
 * The activity that asks for the outcome of a call of which no attempt has reported one; null if none is recorded. A local one says of an outcome
 * that is not small only that there is one, without reading it: the artifact store may hang, and the call has ended all the same.
 */
export function createRecordedActivity(runner: Partial<Pick<StageRunner, 'earlier'>>) {
  return async (
    input: JsonObject,
    { recorded: { call, since } }: RecordedCall,
  ): Promise<StageOutcome | LargeOutcome | null> => {
    const { workflowExecution, isLocal } = Context.current().info;
    const run = workflowExecution?.workflowId ?? '';
    try {
      const outcome = (await runner.earlier?.(input, call, run, since, isLocal ? LARGE : undefined)) ?? null;
      return isLocal && bytesOf(outcome as unknown as Json) >= SMALL_BYTES ? LARGE : outcome;
    } catch (error) {
      throw asFailure(error, true);
    }
  };
}
