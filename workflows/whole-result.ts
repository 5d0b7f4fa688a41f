import { proxyActivities } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import { queueOrder } from '../pipelines/plan/index.js';
import type { StageCall, WholeCall } from '../pipelines/run/index.js';
import { refusableCall, short } from './activity-options.js';
import { takes } from './changes.js';

type WholeActivity<T> = (input: JsonObject, call: WholeCall) => Promise<T>;

/** Of one attempt, which reads what is there, or computes it again, and pauses between two, in milliseconds. */
const ATTEMPT = { startToCloseTimeout: 10_000, retry: { initialInterval: 200, maximumInterval: 2_000 } };
/** For all attempts at least, in milliseconds: the task may have to wait for a slot. */
const LEAST_MS = 30_000;

/** Of what a result is, and how long it is waited for. */
export interface Wanted {
  readonly of: Pick<StageCall, 'pipeline' | 'version' | 'tenant' | 'priority'>;
  /** Type of the activity: what the result is of. */
  readonly name: string;
  readonly summary: string;
  /** Time that is left, in milliseconds; it has 30 s in any case. */
  readonly leftMs: number;
  /** Resolves when the current workflow task has room for the command; undefined: it has. */
  room(): Promise<void> | undefined;
}

/**
 * A result for which the message of its workflow task had no room, by an activity of the run's task queue. Makes no call again. To be called as
 * soon as a local activity has said so: a worker of an earlier release would take that for the result, and stops at the patch that the history gets
 * in the same task.
 */
export async function wholeResult<T>(
  input: JsonObject,
  whole: WholeCall['whole'],
  { of, name, summary, leftMs, room }: Wanted,
): Promise<T> {
  takes('large-commands-leave-room');
  const call: WholeCall = { ...refusableCall(of, name), whole };
  const waiting = room();
  if (waiting !== undefined) await waiting;
  const activities = proxyActivities<Record<string, WholeActivity<T>>>({
    ...ATTEMPT,
    scheduleToCloseTimeout: Math.max(LEAST_MS, Math.ceil(leftMs)),
    priority: queueOrder(of.tenant, of.priority),
    summary: short(summary),
  });
  return await (activities[name] as WholeActivity<T>)(input, call);
}
