interface Waiter {
  readonly tenant: string;
  enter(): void;
}

/**
 * Places for the calls of a sandbox: so many at once, and so many of one tenant. Waiting calls enter in order, without those of a
 * tenant that has all its places.
 */
export class Slots {
  #free: number;
  readonly #ofTenant: number;
  readonly #used = new Map<string, number>();
  readonly #waiting: Waiter[] = [];

  constructor(all: number, ofTenant: number) {
    this.#free = all;
    this.#ofTenant = ofTenant;
  }

  /** Does the work in a place of its own. Throws the signal's reason if it aborts before there is one. */
  async use<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#enter(tenant, signal);
    try {
      return await work();
    } finally {
      this.#leave(tenant);
    }
  }

  async #enter(tenant: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#hasRoom(tenant)) return this.#take(tenant);
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        tenant,
        enter: () => {
          signal.removeEventListener('abort', give);
          this.#take(tenant);
          resolve();
        },
      };
      const give = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      signal.addEventListener('abort', give, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #hasRoom(tenant: string): boolean {
    return this.#free > 0 && (this.#used.get(tenant) ?? 0) < this.#ofTenant;
  }

  #take(tenant: string): void {
    this.#free -= 1;
    this.#used.set(tenant, (this.#used.get(tenant) ?? 0) + 1);
  }

  #leave(tenant: string): void {
    this.#free += 1;
    const left = (this.#used.get(tenant) ?? 1) - 1;
    if (left === 0) this.#used.delete(tenant);
    else this.#used.set(tenant, left);
    const next = this.#waiting.findIndex((waiter) => this.#hasRoom(waiter.tenant));
    if (next >= 0) this.#waiting.splice(next, 1)[0]?.enter();
  }
}
