import { Context } from '@temporalio/activity';
import { asFailure } from '../activities/stage/foreign-activity.js';
import type { Pipeline } from '../pipelines/definition/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { PreparedStart, StartCall } from '../pipelines/run/index.js';
import { place } from '../placement/place.js';
import { prepareForeign } from '../runs/foreign-start.js';
import type { Logger } from '../telemetry/logger.js';
import { openPlacement } from './applied-placement.js';
import { connectorsOf } from './connectors.js';
import { loadModels, poolDescriptions } from './models.js';
import type { Settings } from './settings.js';

/** Prepares a run that a client or workflow of any SDK has started. */
export type StartForeign = (start: StartCall['start'], workflowId: string) => PreparedStart;

/** The local activity that prepares such a run: the first step of its workflow. */
export function createStartActivity(starts: StartForeign | undefined) {
  return async ({ start }: StartCall): Promise<PreparedStart> => {
    const { workflowExecution } = Context.current().info;
    try {
      if (!starts) throw new MillraceError('PIPELINE_NOT_FOUND', 'this worker prepares no runs');
      return starts(start, workflowExecution?.workflowId ?? '');
    } catch (error) {
      throw asFailure(error, true);
    }
  };
}

/** Prepares such runs by the worker's own pipelines, as a gateway prepares its runs by those of its deployment. */
export async function openForeignStarts(
  settings: Settings,
  pipelines: readonly Pipeline[],
  logger: Logger,
): Promise<{ prepare: StartForeign; close(): void }> {
  const poolOf = poolDescriptions(await loadModels(settings), connectorsOf(settings));
  const applied = await openPlacement(settings, logger);
  const deps = {
    pipelines,
    placementOf: (plan: Plan) => place(plan, poolOf, settings.MILLRACE_TASK_QUEUE, applied.queuesOf),
  };
  return { prepare: (start, id) => prepareForeign(deps, start, id), close: () => applied.close() };
}
