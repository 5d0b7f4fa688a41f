/** Counts what is in use at once, of all tenants together and of each. */
export class TenantSlots {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #used = new Map<string, number>();
  #all = 0;

  constructor(most: number, mostOfTenant: number) {
    this.#most = most;
    this.#mostOfTenant = mostOfTenant;
  }

  /** Takes a slot. Returns what releases it, of which further calls have no effect; undefined if there is none. */
  take(tenant: string): (() => void) | undefined {
    if (this.#all >= this.#most || this.hasAll(tenant)) return undefined;
    this.#count(tenant, 1);
    let held = true;
    return () => {
      if (held) this.#count(tenant, -1);
      held = false;
    };
  }

  /** Whether the tenant has as many slots as one tenant may have. */
  hasAll(tenant: string): boolean {
    return (this.#used.get(tenant) ?? 0) >= this.#mostOfTenant;
  }

  #count(tenant: string, by: 1 | -1): void {
    this.#all += by;
    const used = (this.#used.get(tenant) ?? 0) + by;
    if (used > 0) this.#used.set(tenant, used);
    else this.#used.delete(tenant);
  }
}
