import { explain, explanationText } from '../pipelines/inspect/index.js';
import { type Alternative, PLAN_VERSION, type StagePlan } from '../pipelines/plan/index.js';
import { type PoolDescription, place } from '../placement/place.js';
import { connectorsOf } from '../workers/connectors.js';
import { loadModels, poolDescriptions } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { findPipeline } from './find-pipeline.js';
import { SEGMENTS } from './graph.js';
import { printJson, show } from './output.js';

export interface ExplainOptions {
  readonly module?: string;
  /** Every value of a policy, not only those that differ from the defaults. */
  readonly all?: boolean;
  readonly json?: boolean;
}

/** The pools of the models file, without a call to any server. */
export async function describedPools(settings: Settings): Promise<{
  readonly poolOf: (model: string) => PoolDescription | undefined;
  readonly names: readonly string[];
}> {
  const models = await loadModels(settings);
  const connectors = connectorsOf(settings);
  return { poolOf: poolDescriptions(models, connectors), names: Object.keys(models) };
}

/**
 * `millrace explain`: prints a plan stage by stage, with the values that differ from the defaults, or all of them, and
 * their origin. No server is called.
 */
export async function explainPipeline(settings: Settings, name: string, options: ExplainOptions): Promise<void> {
  const pipeline = await findPipeline(settings, name, options.module);
  const { poolOf } = await describedPools(settings);
  const explained = explain(pipeline, SEGMENTS, (stage, by) => placedAt(stage, by, poolOf));
  if (options.json) printJson(explained);
  else show(explanationText(explained, { all: options.all === true }));
}

/** Where one candidate of a stage would run; undefined if no pool serves it. */
function placedAt(
  stage: StagePlan,
  { kind, model, with: options }: Alternative,
  poolOf: (model: string) => PoolDescription | undefined,
) {
  const { cache: _, fallback: __, degrade: ___, ...alone } = stage;
  const step: StagePlan = { ...alone, kind, model, with: options };
  try {
    const { connector = '', device = '' } = place(ONE(step), poolOf, '')[stage.id] ?? {};
    const { microBatch, onDemand, extra } = poolOf(model) ?? {};
    const more = { ...(microBatch && { microBatch }), ...(onDemand && { onDemand }), ...(extra && { extra }) };
    return { connector, device, ...more };
  } catch {
    return undefined;
  }
}

const ONE = (step: StagePlan) => ({
  planVersion: PLAN_VERSION,
  name: '',
  version: '',
  deadlineMs: 1,
  stages: [step],
  output: null,
});
