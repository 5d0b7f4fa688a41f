import { TenantSlots } from '../../runtime/tenant-slots.js';

interface Waiter {
  readonly tenant: string;
  enter(release: () => void): void;
}

/**
 * Slots for the calls of a sandbox: so many at once, and so many of one tenant. Waiting calls enter in order, without those of a
 * tenant that has all its slots.
 */
export class Slots {
  readonly #slots: TenantSlots;
  readonly #waiting: Waiter[] = [];

  constructor(most: number, mostOfTenant: number) {
    this.#slots = new TenantSlots(most, mostOfTenant);
  }

  /** Does the work in a slot of its own. Throws the signal's reason if it aborts before there is one. */
  async use<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const release = this.#slots.take(tenant) ?? (await this.#slotFor(tenant, signal));
    try {
      return await work();
    } finally {
      release();
      this.#admitNext();
    }
  }

  #slotFor(tenant: string, signal: AbortSignal): Promise<() => void> {
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

  /** One slot has become free, which the first waiting call takes whose tenant may have it. */
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
