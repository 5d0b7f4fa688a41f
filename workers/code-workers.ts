import type { NativeConnection, Worker } from '@temporalio/worker';
import { createActivities } from '../activities/stage/activity.js';
import { MillraceError } from '../pipelines/errors.js';
import { queuesOfCode } from '../placement/queues.js';
import type { ActivitySlots } from './activity-slots.js';
import { activityWorker } from './activity-worker.js';
import type { Stages } from './compose.js';
import type { Settings } from './settings.js';

/** Limit of queues: for each, Temporal holds open polls of every worker process. */
const MOST_QUEUES = 64;
/** Concurrent polls of one queue: one takes the next task while the other delivers one. */
const POLLS = 2;

/** Creates workers for the queues of the code versions that this process has. */
export async function createCodeWorkers(parts: {
  readonly connection: NativeConnection;
  readonly settings: Settings;
  readonly stages: Pick<Stages, 'runner' | 'code'>;
  readonly slots: ActivitySlots;
}): Promise<readonly Worker[]> {
  const { connection, settings, stages, slots } = parts;
  const queues = queuesOfCode(settings.MILLRACE_TASK_QUEUE, stages.code.all);
  if (queues.length > MOST_QUEUES) {
    throw new MillraceError(
      'INVALID_PIPELINE',
      `the functions with a version of their own need ${queues.length} task queues, more than ${MOST_QUEUES}; those without one share the build’s`,
    );
  }
  const activities = createActivities(stages.runner, { slots });
  return await Promise.all(
    queues.map((taskQueue) =>
      activityWorker({
        connection,
        settings,
        taskQueue,
        activities,
        maxConcurrentActivityTaskPolls: POLLS,
        slots: slots.supplier(),
      }),
    ),
  );
}
