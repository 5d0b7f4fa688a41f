/** Counts what is open at once, of everyone and of each tenant. */
export class LiveSlots {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #open = new Map<string, number>();
  #all = 0;

  constructor(most: number, mostOfTenant: number) {
    this.#most = most;
    this.#mostOfTenant = mostOfTenant;
  }

  /** Returns what releases the slot, once; undefined if there is none. */
  take(tenant: string): (() => void) | undefined {
    const own = this.#open.get(tenant) ?? 0;
    if (this.#all >= this.#most || own >= this.#mostOfTenant) return undefined;
    this.#all += 1;
    this.#open.set(tenant, own + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#all -= 1;
      const left = (this.#open.get(tenant) ?? 1) - 1;
      if (left > 0) this.#open.set(tenant, left);
      else this.#open.delete(tenant);
    };
  }
}
