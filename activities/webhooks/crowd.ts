/**
 * Limits concurrent attempts per host and per tenant: a host that hangs, or a tenant that names many such hosts, holds
 * no more than these of a worker's slots. See `WEBHOOK_SLOTS` for their total.
 */
const MOST = { ofHost: 8, ofTenant: 64 };

/**
 * Concurrent attempts of a worker: they wait for sockets, not for the processor. Four tenants with only hanging targets
 * fill them.
 */
export const WEBHOOK_SLOTS = 256;

/** Keeps one target, and one tenant, from using all slots. */
export class Crowd {
  readonly #counts = new Map<string, number>();

  /** Runs the work, or returns undefined if there is no slot for it. */
  async within<T>(tenant: string, host: string, work: () => Promise<T>): Promise<T | undefined> {
    const limits = [
      { key: `tenant ${tenant}`, most: MOST.ofTenant },
      // Per tenant: one tenant's attempts must not delay another's deliveries to the same host.
      { key: `host ${tenant} ${host}`, most: MOST.ofHost },
    ];
    if (limits.some(({ key, most }) => this.#count(key) >= most)) return undefined;
    for (const { key } of limits) this.#counts.set(key, this.#count(key) + 1);
    try {
      return await work();
    } finally {
      for (const { key } of limits) this.#leave(key);
    }
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  #leave(key: string): void {
    const left = this.#count(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}
