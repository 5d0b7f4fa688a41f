import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CustomSlotSupplier,
  type NativeConnection,
  type SlotPermit,
  type SlotReserveContext,
  Worker,
} from '@temporalio/worker';
import { createActivities } from '../activities/activity.js';
import type { Device } from '../activities/pools/index.js';
import { deviceQueue } from '../placement/queues.js';
import type { Stages } from './compose.js';
import { HEARTBEAT_THROTTLE_MS } from './heartbeat.js';
import type { Settings } from './settings.js';

/** Time between two looks whether a device has room again, in milliseconds: a small part of any model's call. */
const LOOK_MS = 20;
/** It runs no workflows; the tuner wants all four. */
const NONE = { type: 'fixed-size', numSlots: 1 } as const;

export interface DeviceWorkerOptions {
  readonly connection: NativeConnection;
  readonly settings: Settings;
  readonly stages: Pick<Stages, 'runner' | 'pools'>;
  /** Label of the device in the models file. */
  readonly device: string;
}

/**
 * Serves a device's own task queue. It takes a stage only when the servers on the device have room for it, so that what
 * waits does so in Temporal, where priority and fairness order it and another device can take it.
 */
export async function createDeviceWorker({ connection, settings, stages, device }: DeviceWorkerOptions) {
  const there = stages.pools.device(device);
  const worker = await Worker.create({
    connection,
    namespace: settings.TEMPORAL_NAMESPACE,
    taskQueue: deviceQueue(settings.MILLRACE_TASK_QUEUE, device),
    activities: createActivities(stages.runner, device),
    tuner: {
      activityTaskSlotSupplier: deviceSlots(there),
      workflowTaskSlotSupplier: NONE,
      localActivityTaskSlotSupplier: NONE,
      nexusTaskSlotSupplier: NONE,
    },
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
  });
  return {
    async run(): Promise<void> {
      const ended = new AbortController();
      const watching = there.watch(ended.signal);
      try {
        await worker.run();
      } finally {
        ended.abort();
        await watching;
      }
    },
    shutdown: () => worker.shutdown(),
  };
}

/** As many slots, polls included, as the device has room for now. */
export function deviceSlots(device: Pick<Device, 'room'>): CustomSlotSupplier<never> {
  let held = 0;
  const take = (): SlotPermit | null => {
    if (held >= device.room) return null;
    held += 1;
    return {};
  };
  return {
    type: 'custom',
    async reserveSlot(_: SlotReserveContext, signal: AbortSignal): Promise<SlotPermit> {
      for (;;) {
        signal.throwIfAborted();
        const permit = take();
        if (permit) return permit;
        await sleep(LOOK_MS);
      }
    },
    tryReserveSlot: take,
    markSlotUsed: () => undefined,
    releaseSlot: () => {
      held -= 1;
    },
  };
}
