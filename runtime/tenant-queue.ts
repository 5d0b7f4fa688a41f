/** What waits of each tenant, in order. Tenants take turns: much of one does not keep the others waiting. */
export class TenantQueue<Item extends NonNullable<unknown>> {
  /** By tenant; the tenants in the order of their turns. */
  readonly #waiting = new Map<string, Item[]>();
  readonly #isGone: (item: Item) => boolean;

  /** @param isGone whether nobody waits for an item any more: it is passed over */
  constructor(isGone: (item: Item) => boolean = () => false) {
    this.#isGone = isGone;
  }

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
    for (;;) {
      const [next] = this.shiftEach(1);
      if (next !== undefined || this.isEmpty) return next;
    }
  }

  /** Removes what is next of each of the next tenants, of so many at most. */
  shiftEach(most: number): Item[] {
    const taken: Item[] = [];
    let left = Math.min(most, this.#waiting.size);
    for (const [tenant, items] of this.#waiting) {
      // A tenant of which more waits is behind the others again.
      if (left === 0) break;
      left -= 1;
      this.#waiting.delete(tenant);
      let item = items.shift();
      while (item !== undefined && this.#isGone(item)) item = items.shift();
      if (item !== undefined) taken.push(item);
      if (items.length > 0) this.#waiting.set(tenant, items);
    }
    return taken;
  }
}
