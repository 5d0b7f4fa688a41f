import type { ActivitySlotInfo, CustomSlotSupplier, SlotPermit } from '@temporalio/worker';

/**
 * Places for activities that the workers of a process share, however many task queues it serves: one for each queue would let
 * as many times the stages run at once as it has queues. A poll holds a place before it has a task, so every queue
 * may hold one while the others' polls hold the rest: else a queue could be left without a poll for as long as nothing comes on
 * the others.
 */
export class ActivitySlots {
  readonly #most: number;
  #used = 0;
  #polling = 0;
  #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** For the worker of one task queue. */
  supplier(): CustomSlotSupplier<ActivitySlotInfo> {
    let polling = 0;
    const take = (): SlotPermit | null => {
      const free = this.#most - this.#used;
      if (free <= 0 || (polling > 0 && this.#polling >= free)) return null;
      polling += 1;
      this.#polling += 1;
      return {};
    };
    const polled = () => {
      polling -= 1;
      this.#polling -= 1;
    };
    return {
      type: 'custom',
      reserveSlot: async (_, signal) => {
        for (;;) {
          signal.throwIfAborted();
          const permit = take();
          if (permit) return permit;
          await this.#changed(signal);
        }
      },
      tryReserveSlot: take,
      markSlotUsed: () => {
        polled();
        this.#used += 1;
        this.#change();
      },
      releaseSlot: ({ slotInfo }) => {
        if (slotInfo) this.#used -= 1;
        else polled();
        this.#change();
      },
    };
  }

  #change(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        signal.removeEventListener('abort', go);
        resolve();
      };
      signal.addEventListener('abort', go, { once: true });
      this.#waiting.push(go);
    });
  }
}
