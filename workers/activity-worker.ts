import {
  type ActivitySlotInfo,
  type CustomSlotSupplier,
  type NativeConnection,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { HEARTBEAT_THROTTLE_MS } from './heartbeat.js';
import type { Settings } from './settings.js';

/** A tuner needs suppliers of slots for all four kinds of tasks. */
const NONE = { type: 'fixed-size', numSlots: 1 } as const;

interface ActivityWorkerOptions
  extends Pick<WorkerOptions, 'taskQueue' | 'activities' | 'maxConcurrentActivityTaskPolls'> {
  readonly connection: NativeConnection;
  readonly settings: Settings;
  readonly slots: CustomSlotSupplier<ActivitySlotInfo>;
}

/** A worker that runs activities alone. */
export const activityWorker = ({ settings, slots, ...options }: ActivityWorkerOptions): Promise<Worker> =>
  Worker.create({
    ...options,
    namespace: settings.TEMPORAL_NAMESPACE,
    tuner: {
      activityTaskSlotSupplier: slots,
      workflowTaskSlotSupplier: NONE,
      localActivityTaskSlotSupplier: NONE,
      nexusTaskSlotSupplier: NONE,
    },
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
