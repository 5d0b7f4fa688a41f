import type { Attempt } from '../../activities/stage-runner.js';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import {
  allSteps,
  type Graph,
  isStage,
  type RunContext,
  type StageCall,
  type StageOutcome,
} from '../../pipelines/plan/index.js';
import { alternativesOf } from '../../placement/place.js';

/** A run's second argument for a pipeline of `code` stages. */
export const contextOf = ({ plan }: Pipeline, queue = 'test'): RunContext => ({
  plan,
  tenant: 'default',
  placement: Object.fromEntries(rowsOf(plan).map((id) => [id, { connector: 'code', device: 'worker', queue }])),
});

/** Every row that a placement of the plan has. */
const rowsOf = (graph: Graph): string[] =>
  [...allSteps(graph)].flatMap((step) => {
    if (isStage(step)) return [step.id, ...alternativesOf(step).map((_, i) => `${step.id}~${i + 1}`)];
    return step.kind === 'pipeline' && step.run === 'child' ? rowsOf(step.plan).map((id) => `${step.id}/${id}`) : [];
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
      const output = (await code.run(input, { signal, idempotencyKey: call.stage })) as JsonObject;
      this.events.push(`${call.stage} ends`);
      return { output, endpoint: 'worker', device: '', attempt, cache: 'off', queueMs: 0, runMs: 0 };
    } catch (error) {
      this.events.push(`${call.stage} ${signal.aborted ? 'aborted' : 'fails'}`);
      throw error;
    }
  }
}
