import { setMaxListeners } from 'node:events';
import { Context } from '@temporalio/activity';
import { createActivities } from '../activities/stage/activity.js';
import { createChannelActivities } from '../activities/stage/channel-activities.js';
import { createForeignActivity } from '../activities/stage/foreign-activity.js';
import type { SharedSlots } from '../activities/stage/held-slot.js';
import { createRecordedActivity } from '../activities/stage/recorded-activity.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import type {
  ChannelCommit,
  ChannelWait,
  ForeignCall,
  RecordedCall,
  SegmentCall,
  ServingCall,
  StageCall,
  StartCall,
  TaskTime,
} from '../pipelines/run/index.js';
import { createServingActivity } from './code-served.js';
import type { Stages } from './compose.js';
import { createStartActivity, type StartForeign } from './foreign-starts.js';
import { ResultPace } from './hosts/result-pace.js';
import { createSegmentActivity } from './hosts/segment-executor.js';

type Parts = Pick<Stages, 'runner' | 'redis' | 'losses'> &
  Partial<Pick<Stages, 'foreign'>> & {
    /** Slots of the worker's activities. Absent: its stages hold theirs while they wait for others. */
    readonly slots?: SharedSlots;
    /** Slots of its local activities. Absent: results that wait for earlier ones hold theirs. */
    readonly localSlots?: SharedSlots;
  };
type Call =
  | StageCall
  | SegmentCall
  | ServingCall
  | ForeignCall
  | StartCall
  | RecordedCall
  | ChannelWait
  | ChannelCommit;

/**
 * The activities of a worker; the same function serves the activity type of every stage and every segment.
 * @param ends aborts when segments have to end because their worker shuts down, which Temporal does not cancel but
 * waits for
 * @param starts prepares runs that other clients and workflows start. Absent: none can be started
 */
export function workerActivities(parts: Parts, ends?: AbortSignal, starts?: StartForeign) {
  const { runner, redis, foreign, slots, localSlots } = parts;
  // Each running segment adds a listener.
  if (ends) setMaxListeners(0, ends);
  const stage = createActivities(runner, slots && { slots }).default;
  const pace = new ResultPace({ slots: localSlots });
  const segment = createSegmentActivity(parts, ends, pace);
  const serving = createServingActivity(redis);
  const around = foreign && createForeignActivity(foreign);
  const start = createStartActivity(starts);
  const recorded = createRecordedActivity(runner);
  const channels = createChannelActivities(runner, slots);
  const serve = (input: JsonObject, call: Call) => {
    if ('segment' in call) return segment(input, call);
    if ('foreign' in call && around) return around(input, call);
    if ('start' in call) return start(call);
    if ('recorded' in call) return recorded(input, call);
    if ('waitFor' in call) return channels.wait(call);
    if ('commit' in call) return channels.commit(input as { readonly values: readonly Json[] }, call);
    return 'serving' in call ? serving(call) : stage(input, call as StageCall);
  };
  return {
    async default(input: JsonObject, call: Call) {
      const { info, cancellationSignal: signal } = Context.current();
      const result = await serve(input, call);
      // A segment has waited already: it may be given up meanwhile.
      if (info.isLocal && !('segment' in call)) {
        const { taskMs } = call as TaskTime;
        const bytes = bytesOf(result as unknown as Json);
        await pace.turn(info.workflowExecution?.runId ?? '', bytes, { taskMs, tenant: tenantOf(call), signal });
      }
      return result;
    },
  };
}

function tenantOf(call: Call): string {
  if ('foreign' in call) return call.foreign.call.tenant;
  if ('recorded' in call) return call.recorded.call.tenant;
  return 'tenant' in call ? call.tenant : '';
}
