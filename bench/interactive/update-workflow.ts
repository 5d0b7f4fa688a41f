import { condition, defineUpdate, setHandler } from '@temporalio/workflow';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext, RunResult } from '../../pipelines/run/index.js';
import { interpret } from '../../workflows/interpreter/index.js';
import { TemporalHost } from '../../workflows/temporal-host.js';

const answer = defineUpdate<RunResult>('answer');

/** The interpreter's workflow with an update that returns the result: what update-with-start would require. */
export async function answering(input: JsonObject, context: RunContext): Promise<RunResult> {
  let result: RunResult | undefined;
  setHandler(answer, async () => {
    await condition(() => result !== undefined);
    return result as RunResult;
  });
  const ended = await interpret(input, context, new TemporalHost(context));
  if ('carried' in ended) throw new Error('a run of four stages does not continue');
  result = ended;
  return ended;
}
