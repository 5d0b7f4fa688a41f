/** Calls that count, the last ones of an endpoint: enough to estimate a rate, few enough to follow a change. */
const MOST = 64;
/** How long they count, in milliseconds: for an endpoint with little traffic older calls are not representative. */
const KEPT_MS = 60_000;

/** Outcomes of an endpoint's last calls that the endpoint is responsible for. */
export class Outcomes {
  #window: { readonly at: number; readonly failed: boolean }[] = [];
  /** Times of failures since the last success after which no other mechanism keeps calls away. */
  #fast: number[] = [];

  succeeded(): void {
    this.#add(false);
    this.#fast = [];
  }

  /** @param fast no other mechanism keeps calls away after it */
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
