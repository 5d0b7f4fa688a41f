import type { StagePlan } from '../../pipelines/plan/index.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { Run } from './state.js';

/** Call argument of a stage's activity. `path`: position of the call in the run. */
export function callOf(run: Run, stage: StagePlan, path: string, cache?: StageCall['cache']): StageCall {
  const { plan, tenant } = run.context;
  const { id, kind, effects, model, codeVersion, policy } = stage;
  const { retry, timeout, hedge } = policy;
  const priority = policy.priority ?? run.context.priority;
  return {
    pipeline: plan.name,
    version: plan.version,
    tenant,
    stage: id,
    ...(path !== id && { path }),
    kind,
    ...(effects !== undefined && { effects }),
    model,
    with: stage.with,
    ...(codeVersion !== undefined && { codeVersion }),
    ...(cache && { cache }),
    retry,
    ...(policy.patienceMs !== undefined && { patienceMs: policy.patienceMs }),
    ...(timeout.queueMs !== undefined && { queueMs: timeout.queueMs }),
    ...(timeout.firstChunkMs !== undefined && { firstChunkMs: timeout.firstChunkMs }),
    ...(timeout.idleMs !== undefined && { idleMs: timeout.idleMs }),
    ...(hedge && { hedge }),
    ...(priority !== undefined && { priority }),
    ...(run.context.events && { events: true as const }),
    ...(plan.record && { record: plan.record }),
    ...(plan.record !== 'off' && { runMs: plan.deadlineMs }),
  };
}
