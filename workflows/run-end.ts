import { CancellationScope, isCancellation, proxySinks, type Sinks, workflowInfo } from '@temporalio/workflow';
import type { RunContext } from '../pipelines/run/index.js';

/** How a run has ended, as its document says it. */
export type EndStatus = 'succeeded' | 'failed' | 'cancelled';

/** What a worker takes from its workflows to count runs. */
export interface RunSinks extends Sinks {
  /** `startedAt`: by Temporal's clock, in milliseconds since 1970; of a run with several histories that of the first. */
  runs: { ended(status: EndStatus, startedAt: number): void };
}

const { runs } = proxySinks<RunSinks>();

/**
 * Tells the worker that the run ends, with this failure if with any; the history knows nothing of it. It has to be the last that a
 * workflow does.
 *
 * @param context undefined of a workflow that was started by hand, without its arguments
 */
export function tellEnd(context: RunContext | undefined, failure?: Error): void {
  // As Temporal judges it: a failure by the cancellation of something else is a failure.
  const cancelled = isCancellation(failure) && CancellationScope.current().consideredCancelled;
  const status = failure === undefined ? 'succeeded' : cancelled ? 'cancelled' : 'failed';
  // Despite its description, `startTime` is that of the history.
  runs.ended(status, context?.carried?.startedAt ?? workflowInfo().startTime.getTime());
}
