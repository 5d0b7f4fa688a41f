/** Calls that count, the last ones of an endpoint: enough to tell a rate, and few enough to follow a change. */
const MOST = 64;
/** How long they count, in milliseconds: what was longer ago says nothing of an endpoint with little traffic. */
const KEPT_MS = 60_000;

/** How an endpoint's last calls have ended, as far as it was up to the endpoint. */
export class Outcomes {
  #window: { readonly at: number; readonly failed: boolean }[] = [];
  /** Failures since the last success that nothing else keeps calls away for, by their times. */
  #fast: number[] = [];

  succeeded(): void {
    this.#add(false);
    this.#fast = [];
  }

  /** @param fast nothing else keeps calls away after it */
  failed(fast: boolean): void {
    this.#add(true);
    if (fast) this.#fast = [...this.#fast.slice(1 - MOST), performance.now()];
  }

  #add(failed: boolean): void {
    this.#window.push({ at: performance.now(), failed });
    if (this.#window.length > MOST) this.#window.shift();
  }

  clear(): void {
    this.#window = [];
    this.#fast = [];
  }

  /** Calls and failures of the last minute. */
  get count(): { readonly calls: number; readonly failures: number } {
    const from = performance.now() - KEPT_MS;
    const recent = this.#window.filter(({ at }) => at >= from);
    return { calls: recent.length, failures: recent.filter(({ failed }) => failed).length };
  }

  /** Fast failures of the last `ms` milliseconds, none before the last success. */
  fastFailures(ms: number): number {
    const from = performance.now() - ms;
    return this.#fast.filter((at) => at >= from).length;
  }
}
