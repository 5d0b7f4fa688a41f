import { Context } from '@temporalio/activity';
import type { JsonObject } from '../../pipelines/json.js';
import type { RecordedCall, StageOutcome } from '../../pipelines/run/index.js';
import { asFailure } from './foreign-activity.js';
import type { StageRunner } from './stage-runner.js';

/** The local activity that asks for the outcome of a call of which no attempt has reported one; null if none is recorded. */
export function createRecordedActivity(runner: Partial<Pick<StageRunner, 'earlier'>>) {
  return async (input: JsonObject, { recorded: { call, since } }: RecordedCall): Promise<StageOutcome | null> => {
    const run = Context.current().info.workflowExecution?.workflowId ?? '';
    try {
      return (await runner.earlier?.(input, call, run, since)) ?? null;
    } catch (error) {
      throw asFailure(error, true);
    }
  };
}
