import type { InjectedSinks } from '@temporalio/worker';
import type { RunEventLog } from '../../stores/events/index.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { RunSinks } from '../../workflows/run-end.js';
import type { SegmentSinks } from '../../workflows/segment-turns.js';
import type { EventSinks } from '../../workflows/temporal-host.js';
import { runSinks } from './run-ends.js';
import { segmentSinks } from './running-segments.js';

interface Takers {
  /** Absent: events are dropped. */
  readonly events?: Pick<RunEventLog, 'publish'>;
  readonly metrics: Pick<Metrics, 'runs' | 'runSeconds'>;
}

/**
 * The sinks of a worker's workflows. Temporal awaits sinks before it accepts the commands of a workflow task, so events of a run are in
 * Redis before its end is visible.
 * Without `callDuringReplay`, a worker that takes over a run does not repeat its sink calls.
 */
export function workerSinks({ events, metrics }: Takers): InjectedSinks<SegmentSinks & EventSinks & RunSinks> {
  return {
    ...segmentSinks,
    ...runSinks(metrics),
    events: { publish: { fn: ({ workflowId }, event, to) => events?.publish(to ?? workflowId, event) } },
  };
}
