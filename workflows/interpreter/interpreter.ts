import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import {
  mask,
  PLAN_VERSION,
  type Plan,
  type RunContext,
  type RunResult,
  resolve,
  type StageCall,
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
    const scope = new Map<string, Json>([['input', input]]);
    const output = await host.race([
      (inner) => runStages({ context, host: inner, table, deadline, scope, ended: new Map() }),
    ]);
    return { output, stages: table.rows };
  } catch (error) {
    table.close();
    if (error instanceof StageError) {
      throw new StageError(error.code, error.message, { ...error.details, stages: table.rows as unknown as Json });
    }
    throw error;
  }
}

/** What the stages of one run share. */
interface Progress {
  readonly context: RunContext;
  readonly host: Host;
  readonly table: StageTable;
  readonly deadline: Deadline;
  /** The run's input and the outputs of the stages that have ended. */
  readonly scope: Map<string, Json>;
  readonly ended: Map<string, Promise<void>>;
}

async function runStages(progress: Progress): Promise<JsonObject> {
  const { context, ended, scope } = progress;
  for (const stage of context.plan.stages) ended.set(stage.id, runStage(stage, progress));
  await Promise.all(ended.values());
  return resolve(context.plan.output, scope) as JsonObject;
}

/**
 * Waits for the stages that it reads, which are defined before it, then runs. One function with few awaits: Temporal's
 * sandbox takes a stack trace of every promise that a workflow makes, and they are most of what a run costs in a worker.
 */
async function runStage(stage: StagePlan, { context, host, table, deadline, scope, ended }: Progress): Promise<void> {
  for (const source of sourcesOf([stage.input, stage.cache?.key ?? null])) {
    const earlier = ended.get(source);
    if (earlier !== undefined) await earlier;
  }
  const input = resolve(stage.input, scope);
  if (!isJsonObject(input)) throw new StageError('INTERNAL', `the input of stage "${stage.id}" is not an object`);
  table.start(stage.id);
  const limited = deadline.limit(stage);
  try {
    const control = CONTROL_STAGES[stage.kind];
    const outcome = await (control
      ? control(limited, input, host)
      : host.runStage(limited, input, callOf(stage, scope, context)));
    table.finish(stage.id, outcome);
    scope.set(stage.id, outcome.output);
  } catch (error) {
    const failure = limited === stage ? error : deadline.reason(stage, error);
    if (failure instanceof StageError) table.fail(stage.id, failure);
    throw failure;
  }
}

function callOf(stage: StagePlan, scope: ReadonlyMap<string, Json>, { plan, tenant }: RunContext): StageCall {
  const { id, kind, model, cache } = stage;
  return {
    pipeline: plan.name,
    version: plan.version,
    tenant,
    stage: id,
    kind,
    model,
    with: stage.with,
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
