import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../pipelines/errors.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** Requests cancellation of a run; it reaches running stages within a second. Throws `RUN_ENDED` and `ORCHESTRATOR_UNAVAILABLE`. */
export async function cancelRun({ temporal }: RunDeps, id: string): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => temporal.workflow.getHandle(id).cancel());
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? hasEnded() : fromTemporal(error, id);
  }
}

/** Cancels a run whose caller has left. Never rejects: the run may have ended, or its deadline ends it. */
export async function cancelLeft(deps: RunDeps, id: string): Promise<void> {
  await cancelRun(deps, id).catch((error: unknown) => {
    if (error instanceof MillraceError && error.code === 'RUN_ENDED') return;
    deps.logger.warn({ runId: id, err: error }, 'a run whose caller has disconnected could not be cancelled');
  });
}

export const hasEnded = (): MillraceError => new MillraceError('RUN_ENDED', 'the run has ended; GET it for how');
