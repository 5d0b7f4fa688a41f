import { createActivities } from '../activities/activity.js';
import type { JsonObject } from '../pipelines/json.js';
import type { SegmentCall, ServingCall, StageCall } from '../pipelines/plan/index.js';
import { createServingActivity } from './code-served.js';
import type { Stages } from './compose.js';
import { createSegmentActivity } from './segment-runner.js';

/** The activities of a worker: one function serves the type of every stage and of every segment. */
export function workerActivities({ runner, redis }: Pick<Stages, 'runner' | 'redis'>) {
  const stage = createActivities(runner).default;
  const segment = createSegmentActivity(runner, redis);
  const serving = createServingActivity(redis);
  return {
    default: (input: JsonObject, call: StageCall | SegmentCall | ServingCall) => {
      if ('segment' in call) return segment(input, call);
      return 'serving' in call ? serving(call) : stage(input, call);
    },
  };
}
