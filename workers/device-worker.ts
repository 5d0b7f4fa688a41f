import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ActivitySlotInfo,
  CustomSlotSupplier,
  NativeConnection,
  SlotPermit,
  SlotReserveContext,
} from '@temporalio/worker';
import { createActivities } from '../activities/stage/activity.js';
import type { SharedSlots } from '../activities/stage/held-slot.js';
import { deviceQueue, poolQueue } from '../placement/queues.js';
import { WaitingRoom } from '../runtime/waiting-room.js';
import { activityWorker } from './activity-worker.js';
import type { Stages } from './compose.js';
import { runTogether, stopAll } from './run-together.js';
import type { Settings } from './settings.js';

/** Interval of checks whether a device has room, in milliseconds: a small fraction of any model's call. */
const POLL_MS = 20;

export interface DeviceWorkerOptions {
  readonly connection: NativeConnection;
  readonly settings: Settings;
  readonly stages: Pick<Stages, 'runner' | 'pools'>;
}

/**
 * Serves the devices in the settings: the task queue of each, and those of the pools that have endpoints on them. A
 * stage is taken only when the servers there have room for it; otherwise it waits in Temporal, where priority and
 * fairness apply and another device can take it.
 */
export async function createDeviceWorkers({ connection, settings, stages }: DeviceWorkerOptions) {
  const { MILLRACE_TASK_QUEUE: deployment, MILLRACE_DEVICES: labels = [] } = settings;
  const devices = new Map(labels.map((label) => [label, stages.pools.device(label)]));
  const serve = (taskQueue: string, on: readonly string[], pool?: string) => {
    const slots = slotsFor(() => on.reduce((sum, label) => sum + (devices.get(label)?.room(pool) ?? 0), 0));
    const activities = createActivities(stages.runner, { devices: on, slots });
    return activityWorker({ connection, settings, taskQueue, activities, slots });
  };
  const pools = new Set([...devices.values()].flatMap((device) => device.pools));
  // Temporal permits one worker per queue in a process, so a pool's queue is served once for all its devices.
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
      // One signal per device: Node reports a leak above ten listeners of one signal.
      const watches = [...devices.values()].map((device) => {
        const ended = new AbortController();
        return { ended, watching: device.watch(ended.signal) };
      });
      try {
        await runTogether(workers, settings.MILLRACE_SHUTDOWN_GRACE_MS);
      } finally {
        for (const { ended } of watches) ended.abort();
        await Promise.all(watches.map(({ watching }) => watching));
      }
    },
    shutdown(): void {
      stopAll(workers);
    },
  };
}

/**
 * Supplies as many slots, polls included, as there is room for. A stage that comes back from a wait does not wait for a poll, which holds
 * its slot for up to a minute where no task comes: the task of a poll may then begin beside it, and waits at its pool.
 */
export function slotsFor(room: () => number): CustomSlotSupplier<ActivitySlotInfo> & SharedSlots {
  /** Slots of stages, and of polls that have no task yet. */
  let [used, polling] = [0, 0];
  /** Stages that wait for other stages, or for people. */
  const left = new WaitingRoom();
  /** Those of them that wait for a slot. */
  let taking = 0;
  const take = (): SlotPermit | null => {
    // Stages that have begun go on before new ones begin.
    if (used + polling + taking >= room()) return null;
    polling += 1;
    return {};
  };
  return {
    type: 'custom',
    async reserveSlot(_: SlotReserveContext, signal: AbortSignal): Promise<SlotPermit> {
      for (;;) {
        signal.throwIfAborted();
        const permit = take();
        if (permit) return permit;
        await sleep(POLL_MS);
      }
    },
    tryReserveSlot: take,
    markSlotUsed() {
      polling -= 1;
      used += 1;
    },
    releaseSlot({ slotInfo }) {
      if (slotInfo) used -= 1;
      else polling -= 1;
    },
    leave(tenant) {
      if (!left.begin(tenant)) return false;
      used -= 1;
      return true;
    },
    async take(tenant, signal) {
      taking += 1;
      try {
        // The stream's next call waits at its pool as others do: the device has room, or has it soon.
        while (used >= Math.max(1, room())) await sleep(POLL_MS, undefined, { signal });
      } finally {
        taking -= 1;
      }
      this.takeBack(tenant);
    },
    takeBack(tenant) {
      left.end(tenant);
      used += 1;
    },
  };
}
