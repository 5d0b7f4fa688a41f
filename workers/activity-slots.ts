import type { ActivitySlotInfo, CustomSlotSupplier, LocalActivitySlotInfo, SlotPermit } from '@temporalio/worker';
import type { SharedSlots } from '../activities/stage/held-slot.js';
import { WaitingRoom } from '../runtime/waiting-room.js';

/**
 * Activity slots shared by a process's workers, however many task queues they poll: with slots per queue the number of
 * concurrent stages would multiply by the number of queues. A poll holds a slot before it has a task, so every queue
 * may hold one even while the polls of other queues hold all the rest; otherwise a queue could stay without a poll for
 * as long as the others receive no tasks.
 */
export class ActivitySlots implements SharedSlots {
  readonly #most: number;
  #used = 0;
  /** Attempts that wait for other stages, or for people, and results that wait for earlier ones. */
  readonly #left: WaitingRoom;
  /** Those of them that wait for a slot. */
  #taking = 0;
  #polling = 0;
  #waiting: (() => void)[] = [];

  /** @param left the attempts that wait without a slot */
  constructor(most: number, left = new WaitingRoom()) {
    this.#most = most;
    this.#left = left;
  }

  /** The slot supplier for the worker of one task queue. */
  supplier<Info extends ActivitySlotInfo | LocalActivitySlotInfo = ActivitySlotInfo>(): CustomSlotSupplier<Info> {
    let polling = 0;
    const take = (): SlotPermit | null => {
      // Stages that have begun go on before new ones begin.
      const free = this.#most - this.#used - this.#taking;
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

  leave(tenant: string): boolean {
    if (!this.#left.begin(tenant)) return false;
    this.#used -= 1;
    this.#change();
    return true;
  }

  async take(tenant: string, signal: AbortSignal): Promise<void> {
    this.#taking += 1;
    try {
      while (this.#used >= this.#most) {
        signal.throwIfAborted();
        await this.#changed(signal);
      }
    } finally {
      this.#taking -= 1;
    }
    this.takeBack(tenant);
  }

  takeBack(tenant: string): void {
    this.#left.end(tenant);
    this.#used += 1;
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
