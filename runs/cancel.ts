import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../pipelines/errors.js';
import { CANCEL_SIGNAL, deliveryId } from '../pipelines/run/index.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/**
 * Requests cancellation of a run; it reaches running stages within a second. A run that its delivery has not started yet is never
 * started. Throws `RUN_ENDED` and `ORCHESTRATOR_UNAVAILABLE`.
 */
export async function cancelRun({ temporal }: Pick<RunDeps, 'temporal'>, id: string): Promise<void> {
  const { workflow } = temporal;
  const isThere = async (question: () => Promise<unknown>): Promise<boolean> => {
    try {
      await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, question);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw fromTemporal(error, id);
    }
  };
  const run = workflow.getHandle(id);
  if (await isThere(() => run.cancel())) return;
  // Temporal says the same of a run that has ended, whose delivery may still be under way.
  const known = await isThere(() => run.describe());
  const tell = () => (known ? run.cancel() : workflow.getHandle(deliveryId(id)).signal(CANCEL_SIGNAL));
  // One that is known now may have been started in between.
  if (!(await isThere(tell))) throw hasEnded();
}

/** Cancels a run whose caller has left. Never rejects: the run may have ended, or its deadline ends it. */
export async function cancelLeft(deps: RunDeps, id: string): Promise<void> {
  await cancelRun(deps, id).catch((error: unknown) => {
    if (error instanceof MillraceError && error.code === 'RUN_ENDED') return;
    deps.logger.warn({ runId: id, err: error }, 'a run whose caller has disconnected could not be cancelled');
  });
}

export const hasEnded = (): MillraceError =>
  new MillraceError('RUN_ENDED', 'the run has ended; GET /v1/runs/{id} shows how');
