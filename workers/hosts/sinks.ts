import type { InjectedSinks } from '@temporalio/worker';
import type { RunEventLog } from '../../stores/events/index.js';
import type { SegmentSinks } from '../../workflows/segment-turns.js';
import type { EventSinks } from '../../workflows/temporal-host.js';
import { segmentSinks } from './running-segments.js';

/**
 * What a worker takes from its workflows beside their history. Temporal waits for a sink before it takes a workflow task's
 * commands: what a run has told is in Redis before its end can be seen.
 */
export function workerSinks(log: RunEventLog): InjectedSinks<SegmentSinks & EventSinks> {
  return {
    ...segmentSinks,
    events: { tell: { fn: ({ workflowId }, event) => log.tell(workflowId, event) } },
  };
}
