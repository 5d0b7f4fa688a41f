import { CancellationScope, isCancellation, proxySinks, type Sinks, workflowInfo } from '@temporalio/workflow';
import type { RunContext } from '../pipelines/run/index.js';

/** End status of a run, as in its document. */
export type EndStatus = 'succeeded' | 'failed' | 'cancelled';

/** Sink by which the worker counts the runs of its workflows. */
export interface RunSinks extends Sinks {
  /** `startedAt`: start of the run's first history by Temporal's clock, in milliseconds since 1970. */
  runs: { ended(status: EndStatus, startedAt: number): void };
}

const { runs } = proxySinks<RunSinks>();

/**
 * Reports the run's end, and its failure if any, to the worker, without a record in the history. Must be the workflow's
 * last operation.
 *
 * @param context undefined for a workflow started by hand without arguments
 */
export function reportEnd(context: RunContext | undefined, failure?: Error): void {
  // As in Temporal: a failure caused by another cancellation is a failure, not a cancelled run.
  const cancelled = isCancellation(failure) && CancellationScope.current().consideredCancelled;
  const status = failure === undefined ? 'succeeded' : cancelled ? 'cancelled' : 'failed';
  // Despite its description, `startTime` is the start of the current history.
  runs.ended(status, context?.carried?.startedAt ?? workflowInfo().startTime.getTime());
}
