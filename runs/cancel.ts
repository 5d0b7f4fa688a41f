import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../pipelines/errors.js';
import { CANCEL_SIGNAL, deliveryId } from '../pipelines/run/index.js';
import { FairSlots } from '../runtime/fair-slots.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import type { EndingRun } from './outcome.js';

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

/**
 * How many runs are cancelled at once for callers that have left, of all tenants and of one. Temporal answers in some 10 ms: a thousand take
 * less than a second, and as many requests at once would delay all others.
 */
const AT_ONCE = { all: 32, ofTenant: 16 };

/** A cancellation that has not had its turn by then is given up, in milliseconds: Temporal hangs, or the caller may have come back. */
const PATIENCE_MS = 30_000;

interface Leaving {
  readonly slots: FairSlots;
  /** By run: those under way, and those that wait. */
  readonly runs: Map<string, Promise<void>>;
}

const leavingOf = new WeakMap<Client, Leaving>();

/**
 * Cancels a run whose caller has left, once for all who have left it meanwhile, and in its turn. Never rejects: the run may have ended, or its
 * deadline ends it.
 */
export function cancelLeft(
  deps: Pick<RunDeps, 'temporal' | 'logger'>,
  { id, tenant }: EndingRun,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const leaving = leavingOf.get(deps.temporal) ?? {
    slots: new FairSlots(AT_ONCE.all, AT_ONCE.ofTenant),
    runs: new Map(),
  };
  leavingOf.set(deps.temporal, leaving);
  const { slots, runs } = leaving;
  const cancelled =
    runs.get(id) ??
    slots
      .use(tenant, AbortSignal.timeout(patienceMs), () => cancelRun(deps, id))
      .catch((error: unknown) => {
        if (error instanceof MillraceError && error.code === 'RUN_ENDED') return;
        const late = error instanceof Error && error.name === 'TimeoutError';
        const why = late
          ? `was not cancelled: its turn did not come within ${patienceMs} ms`
          : 'could not be cancelled';
        deps.logger.warn({ runId: id, err: error }, `a run whose caller has disconnected ${why}`);
      })
      .finally(() => runs.delete(id));
  runs.set(id, cancelled);
  return cancelled;
}

export const hasEnded = (): MillraceError =>
  new MillraceError('RUN_ENDED', 'the run has ended; GET /v1/runs/{id} shows how');
