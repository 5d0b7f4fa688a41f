/** What waits of each tenant, in order. Tenants take turns: much of one does not keep the others waiting. */
export class TenantQueue<Item> {
  /** By tenant; the tenants in the order of their turns. */
  readonly #waiting = new Map<string, Item[]>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  push(tenant: string, item: Item): void {
    const items = this.#waiting.get(tenant);
    if (items) items.push(item);
    else this.#waiting.set(tenant, [item]);
  }

  /** Removes what is next. Undefined if nothing waits. */
  shift(): Item | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [tenant, items] = first;
    const item = items.shift();
    this.#waiting.delete(tenant);
    if (items.length > 0) this.#waiting.set(tenant, items);
    return item;
  }
}
