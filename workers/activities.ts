import { setMaxListeners } from 'node:events';
import { createActivities } from '../activities/stage/activity.js';
import { createChannelActivities } from '../activities/stage/channel-activities.js';
import { createCompletionActivity, createForeignActivity } from '../activities/stage/foreign-activity.js';
import type { SharedSlots } from '../activities/stage/held-slot.js';
import { createRecordedActivity } from '../activities/stage/recorded-activity.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type {
  ChannelCommit,
  ChannelWait,
  SegmentCall,
  ServingCall,
  StageCall,
  StartCall,
  WholeCall,
} from '../pipelines/run/index.js';
import { createServingActivity } from './code-served.js';
import type { Stages } from './compose.js';
import { createStartActivity, type StartForeign } from './foreign-starts.js';
import { createOutcomeActivity, createSegmentActivity } from './hosts/segment-executor.js';

type Parts = Pick<Stages, 'runner' | 'redis' | 'losses'> &
  Partial<Pick<Stages, 'foreign'>> & {
    /** Slots of the worker's activities. Absent: its stages hold theirs while they wait for others. */
    readonly slots?: SharedSlots;
  };
type Call = StageCall | SegmentCall | WholeCall['whole'] | ServingCall | StartCall | ChannelWait | ChannelCommit;

/**
 * The activities of a worker; the same function serves the activity type of every stage and every segment.
 * @param ends aborts when segments have to end because their worker shuts down, which Temporal does not cancel but
 * waits for
 * @param starts prepares runs that other clients and workflows start. Absent: none can be started
 */
export function workerActivities(parts: Parts, ends?: AbortSignal, starts?: StartForeign) {
  const { runner, redis, foreign, slots } = parts;
  // Each running segment adds a listener.
  if (ends) setMaxListeners(0, ends);
  const stage = createActivities(runner, slots && { slots }).default;
  const segment = createSegmentActivity(parts, ends);
  const outcome = createOutcomeActivity(redis);
  const serving = createServingActivity(redis);
  const around = foreign && createForeignActivity(foreign);
  const completion = foreign && createCompletionActivity(foreign);
  const start = createStartActivity(starts);
  const recorded = createRecordedActivity(runner);
  const channels = createChannelActivities(runner, slots);
  return {
    default: (input: JsonObject, given: Call | WholeCall) => {
      const call: Call = 'whole' in given ? given.whole : given;
      if ('segment' in call) return segment(input, call);
      if ('outcome' in call) return outcome(call);
      if ('foreign' in call && around) return around(input, call);
      if ('completes' in call && completion) return completion(input, call);
      if ('start' in call) return start(call);
      if ('recorded' in call) return recorded(input, call);
      if ('waitFor' in call) return channels.wait(call);
      if ('commit' in call) return channels.commit(input as { readonly values: readonly Json[] }, call);
      return 'serving' in call ? serving(call) : stage(input, call as StageCall);
    },
  };
}
