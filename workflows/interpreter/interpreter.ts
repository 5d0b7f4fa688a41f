import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import {
  mask,
  PLAN_VERSION,
  type Plan,
  type RunContext,
  type RunResult,
  resolve,
  type StageCall,
  type StageOutcome,
  type StagePlan,
  sourcesOf,
} from '../../pipelines/plan/index.js';
import { CONTROL_STAGES } from './control.js';
import { Deadline } from './deadline.js';
import { type Host, StageError } from './host.js';
import { StageTable } from './stage-table.js';

/**
 * Runs a plan: each stage as soon as every stage it reads has ended, independent stages in parallel, the whole within the
 * plan's deadline. The first stage that fails for good ends the run and cancels the others.
 */
export async function interpret(input: JsonObject, context: RunContext, host: Host): Promise<RunResult> {
  const { plan } = context;
  checkPlan(plan);
  const table = new StageTable(context, (stages) => host.report(stages));
  const deadline = new Deadline(plan, host);
  try {
    // A race of one: when a stage fails, those beside it are cancelled.
    const output = await host.race([(inner) => runStages(input, context, inner, table, deadline)]);
    return { output, stages: table.rows };
  } catch (error) {
    if (error instanceof StageError) {
      throw new StageError(error.code, error.message, { ...error.details, stages: table.rows as unknown as Json });
    }
    throw error;
  }
}

async function runStages(
  input: JsonObject,
  context: RunContext,
  host: Host,
  table: StageTable,
  deadline: Deadline,
): Promise<JsonObject> {
  const scope = new Map<string, Json>([['input', input]]);
  const ended = new Map<string, Promise<void>>([['input', Promise.resolve()]]);
  // A stage reads only stages defined before it, so the promises that it waits for exist already.
  for (const stage of context.plan.stages) {
    const sources = new Set([...sourcesOf(stage.input), ...sourcesOf(stage.cache?.key ?? null)]);
    const ready = Promise.all([...sources].map((source) => ended.get(source)));
    ended.set(
      stage.id,
      ready.then(async () => {
        const outcome = await runStage(stage, scope, context, host, table, deadline);
        scope.set(stage.id, outcome.output);
      }),
    );
  }
  await Promise.all(ended.values());
  return resolve(context.plan.output, scope) as JsonObject;
}

async function runStage(
  stage: StagePlan,
  scope: ReadonlyMap<string, Json>,
  context: RunContext,
  host: Host,
  table: StageTable,
  deadline: Deadline,
): Promise<StageOutcome> {
  const input = resolve(stage.input, scope);
  if (!isJsonObject(input)) throw new StageError('INTERNAL', `the input of stage "${stage.id}" is not an object`);
  table.start(stage.id);
  try {
    const control = CONTROL_STAGES[stage.kind];
    const outcome = await deadline.within(stage, (limited) =>
      control ? control(limited, input, host) : host.runStage(limited, input, callOf(stage, scope, context)),
    );
    table.finish(stage.id, outcome);
    return outcome;
  } catch (error) {
    if (error instanceof StageError) table.fail(stage.id, error);
    throw error;
  }
}

function callOf(stage: StagePlan, scope: ReadonlyMap<string, Json>, { plan, tenant }: RunContext): StageCall {
  const { id, kind, model, cache, policy } = stage;
  return {
    pipeline: plan.name,
    version: plan.version,
    tenant,
    stage: id,
    kind,
    model,
    with: stage.with,
    attempts: policy.retry.attempts,
    ...(cache && {
      cache: {
        ...cache,
        key: String(resolve(cache.key, scope) ?? ''),
        context: resolve(mask(stage.input, cache.key), scope),
      },
    }),
  };
}

function checkPlan(plan: Plan): void {
  if (plan.planVersion === PLAN_VERSION) return;
  throw new StageError(
    'UNKNOWN_PLAN_VERSION',
    `this worker reads plan version ${PLAN_VERSION}, the run has ${plan.planVersion}; start a worker of the release that made it`,
  );
}
