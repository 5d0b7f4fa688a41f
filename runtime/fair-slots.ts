import { TenantSlots } from './tenant-slots.js';

interface Waiter {
  readonly tenant: string;
  enter(release: () => void): void;
}

/**
 * Slots for work of all tenants, of which one tenant has a share at most: a tenant whose work is slow, or whose clients do not read what
 * is made for them, holds up its own work only. Who waits enters in order, without those of a tenant that has all its slots.
 */
export class FairSlots {
  readonly #slots: TenantSlots;
  readonly #waiting: Waiter[] = [];

  constructor(most: number, mostOfTenant: number) {
    this.#slots = new TenantSlots(most, mostOfTenant);
  }

  /**
   * Resolves with what releases the slot, of which further calls have no effect. Throws the signal's reason if it aborts first.
   * @param onWait called if there is none at once
   */
  async acquire(tenant: string, signal: AbortSignal, onWait?: () => void): Promise<() => void> {
    signal.throwIfAborted();
    const release = this.#slots.take(tenant) ?? (await this.#slotFor(tenant, signal, onWait));
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      release();
      this.#admitNext();
    };
  }

  /** Does the work in a slot of its own. Throws the signal's reason if it aborts before there is one. */
  async use<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const release = await this.acquire(tenant, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #slotFor(tenant: string, signal: AbortSignal, onWait: () => void = () => undefined): Promise<() => void> {
    onWait();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        tenant,
        enter: (release) => {
          signal.removeEventListener('abort', leave);
          resolve(release);
        },
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** One slot has become free, which the first who waits takes whose tenant may have it. */
  #admitNext(): void {
    for (const [at, { tenant, enter }] of this.#waiting.entries()) {
      const release = this.#slots.take(tenant);
      if (!release) continue;
      this.#waiting.splice(at, 1);
      enter(release);
      return;
    }
  }
}
