import type { Attempt } from '../../activities/stage-runner.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunContext, StageCall, StageOutcome } from '../../pipelines/plan/index.js';

/** A run's second argument for a pipeline of `code` stages. */
export const contextOf = ({ plan }: Pipeline, queue = 'test'): RunContext => ({
  plan,
  tenant: 'default',
  placement: Object.fromEntries(plan.stages.map((stage) => [stage.id, { connector: 'code', device: 'worker', queue }])),
});

/** Runs `code` stages and keeps the order in which they started and ended. */
export class CodeRunner {
  readonly events: string[] = [];
  readonly #pipeline: Pipeline;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  async run(input: JsonObject, call: StageCall, { attempt, signal }: Attempt): Promise<StageOutcome> {
    const code = this.#pipeline.code.get(call.model);
    if (!code) throw new MillraceError('CODE_NOT_FOUND', call.model);
    this.events.push(`${call.stage} starts`);
    try {
      const output = (await code.run(input, { signal })) as JsonObject;
      this.events.push(`${call.stage} ends`);
      return { output, endpoint: 'worker', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 };
    } catch (error) {
      this.events.push(`${call.stage} ${signal.aborted ? 'aborted' : 'fails'}`);
      throw error;
    }
  }
}
