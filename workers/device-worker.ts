import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CustomSlotSupplier,
  type NativeConnection,
  type SlotPermit,
  type SlotReserveContext,
  Worker,
} from '@temporalio/worker';
import { createActivities } from '../activities/stage/activity.js';
import { deviceQueue, poolQueue } from '../placement/queues.js';
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
}

/**
 * Serves the devices that the settings name: the task queue of each, and those of the pools that have endpoints on them. It
 * takes a stage only when the servers there have room for it, so that what waits does so in Temporal, where priority and
 * fairness order it and another device can take it.
 */
export async function createDeviceWorkers({ connection, settings, stages }: DeviceWorkerOptions) {
  const { TEMPORAL_NAMESPACE: namespace, MILLRACE_TASK_QUEUE: deployment, MILLRACE_DEVICES: labels = [] } = settings;
  const devices = new Map(labels.map((label) => [label, stages.pools.device(label)]));
  const serve = (taskQueue: string, on: readonly string[], pool?: string) =>
    Worker.create({
      connection,
      namespace,
      taskQueue,
      activities: createActivities(stages.runner, on),
      tuner: {
        activityTaskSlotSupplier: slotsFor(() =>
          on.reduce((sum, label) => sum + (devices.get(label)?.room(pool) ?? 0), 0),
        ),
        workflowTaskSlotSupplier: NONE,
        localActivityTaskSlotSupplier: NONE,
        nexusTaskSlotSupplier: NONE,
      },
      maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
      shutdownGraceTime: settings.MILLRACE_SHUTDOWN_GRACE_MS,
    });
  const pools = new Set([...devices.values()].flatMap((device) => device.pools));
  // A process may serve a queue once only, whatever the number of its devices.
  const ofPools = [...pools].map((pool) => {
    const on = [...devices].filter(([, device]) => device.pools.includes(pool)).map(([label]) => label);
    return serve(poolQueue(deployment, pool), on, pool);
  });
  const workers = await Promise.all([
    ...[...devices.keys()].map((label) => serve(deviceQueue(deployment, label), [label])),
    ...ofPools,
  ]);
  return {
    async run(): Promise<void> {
      // A signal for each: Node takes more than ten listeners of one for a leak.
      const watches = [...devices.values()].map((device) => {
        const ended = new AbortController();
        return { ended, watching: device.watch(ended.signal) };
      });
      try {
        await Promise.all(workers.map((worker) => worker.run()));
      } finally {
        for (const { ended } of watches) ended.abort();
        await Promise.all(watches.map(({ watching }) => watching));
      }
    },
    shutdown(): void {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    },
  };
}

/** As many slots, polls included, as there is room for now. */
export function slotsFor(room: () => number): CustomSlotSupplier<never> {
  let held = 0;
  const take = (): SlotPermit | null => {
    if (held >= room()) return null;
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
