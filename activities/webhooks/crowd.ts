/**
 * Attempts under way at one host, and of one tenant: a host that hangs, or a tenant that names many such, keeps no more than
 * these of a worker's slots. See `WEBHOOK_SLOTS` for how many there are.
 */
const MOST = { ofHost: 8, ofTenant: 64 };

/** Attempts of a worker at once: they wait for sockets, not for the processor. Four tenants with nothing but hanging targets fill them. */
export const WEBHOOK_SLOTS = 256;

/** Keeps one target, and one tenant, from taking all the room. */
export class Crowd {
  readonly #counts = new Map<string, number>();

  /** Runs the work, or returns undefined where there is no room for it. */
  async within<T>(tenant: string, host: string, work: () => Promise<T>): Promise<T | undefined> {
    const limits = [
      { key: `tenant ${tenant}`, most: MOST.ofTenant },
      // Of one tenant: another's deliveries to the same host are not its to hold up.
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
