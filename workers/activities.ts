import { setMaxListeners } from 'node:events';
import { createActivities } from '../activities/stage/activity.js';
import type { JsonObject } from '../pipelines/json.js';
import type { SegmentCall, ServingCall, StageCall } from '../pipelines/run/index.js';
import { createServingActivity } from './code-served.js';
import type { Stages } from './compose.js';
import { createSegmentActivity } from './hosts/segment-executor.js';

/**
 * The activities of a worker; the same function serves the activity type of every stage and every segment.
 * @param ends aborts when segments have to end because their worker shuts down, which Temporal does not cancel but
 * waits for
 */
export function workerActivities({ runner, redis }: Pick<Stages, 'runner' | 'redis'>, ends?: AbortSignal) {
  // Each running segment adds a listener.
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
