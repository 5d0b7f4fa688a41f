import type { InjectedSinks } from '@temporalio/worker';
import type { RunEventLog } from '../../stores/events/index.js';
import type { SegmentSinks } from '../../workflows/segment-turns.js';
import type { EventSinks } from '../../workflows/temporal-host.js';
import { segmentSinks } from './running-segments.js';

/**
 * The sinks of a worker's workflows. Temporal awaits sinks before it accepts the commands of a workflow task, so events of a run are in
 * Redis before its end is visible.
 */
export function workerSinks(log: RunEventLog): InjectedSinks<SegmentSinks & EventSinks> {
  return {
    ...segmentSinks,
    events: { tell: { fn: ({ workflowId }, event) => log.tell(workflowId, event) } },
  };
}
