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

export const hasEnded = (): MillraceError => new MillraceError('RUN_ENDED', 'the run has ended; GET it for how');
