interface Waiter {
  readonly tenant: string;
  readonly go: () => void;
}

/**
 * Permits for work of all tenants, of which one tenant has a share at most: who does not read what is made for it holds up its own work
 * only. First come, first served among those who may have one.
 */
export class FairSemaphore {
  #free: number;
  readonly #mostOfTenant: number;
  readonly #held = new Map<string, number>();
  readonly #waiting: Waiter[] = [];

  constructor(permits: number, mostOfTenant: number) {
    this.#free = permits;
    this.#mostOfTenant = mostOfTenant;
  }

  /** Resolves with what releases the permit, once. Throws the signal's reason if it aborts first. */
  async acquire(tenant: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#mayHave(tenant)) return this.#take(tenant);
    return await new Promise<() => void>((resolve, reject) => {
      const waiter: Waiter = {
        tenant,
        go: () => {
          signal.removeEventListener('abort', leave);
          resolve(this.#take(tenant));
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

  #mayHave(tenant: string): boolean {
    return this.#free > 0 && (this.#held.get(tenant) ?? 0) < this.#mostOfTenant;
  }

  #take(tenant: string): () => void {
    this.#free -= 1;
    this.#held.set(tenant, (this.#held.get(tenant) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += 1;
      const left = (this.#held.get(tenant) ?? 1) - 1;
      if (left > 0) this.#held.set(tenant, left);
      else this.#held.delete(tenant);
      this.#next();
    };
  }

  #next(): void {
    const at = this.#waiting.findIndex(({ tenant }) => this.#mayHave(tenant));
    if (at >= 0) this.#waiting.splice(at, 1)[0]?.go();
  }
}
