import { setMaxListeners } from 'node:events';
import { createActivities } from '../activities/stage/activity.js';
import type { JsonObject } from '../pipelines/json.js';
import type { SegmentCall, ServingCall, StageCall } from '../pipelines/run/index.js';
import { createServingActivity } from './code-served.js';
import type { Stages } from './compose.js';
import { createSegmentActivity } from './hosts/segment-executor.js';

/**
 * The activities of a worker: one function serves the type of every stage and of every segment.
 * @param ends aborts when segments are to end because their worker does: Temporal waits for them, and does not cancel them
 */
export function workerActivities({ runner, redis }: Pick<Stages, 'runner' | 'redis'>, ends?: AbortSignal) {
  // One for each segment that runs.
  if (ends) setMaxListeners(0, ends);
  const stage = createActivities(runner).default;
  const segment = createSegmentActivity(runner, redis, ends);
  const serving = createServingActivity(redis);
  return {
    default: (input: JsonObject, call: StageCall | SegmentCall | ServingCall) => {
      if ('segment' in call) return segment(input, call);
      return 'serving' in call ? serving(call) : stage(input, call);
    },
  };
}
