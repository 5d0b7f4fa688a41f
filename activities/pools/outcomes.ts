/** Calls that count, the last ones of an endpoint: enough to tell a rate, and few enough to follow a change. */
const MOST = 64;
/** How long they count, in milliseconds: what was longer ago says nothing of an endpoint with little traffic. */
const KEPT_MS = 60_000;

/** How an endpoint's last calls have ended, as far as it was up to the endpoint. */
export class Outcomes {
  #window: { readonly at: number; readonly failed: boolean }[] = [];

  add(failed: boolean): void {
    this.#window.push({ at: performance.now(), failed });
    if (this.#window.length > MOST) this.#window.shift();
  }

  clear(): void {
    this.#window = [];
  }

  /** Calls and failures of the last minute. */
  get count(): { readonly calls: number; readonly failures: number } {
    const recent = this.#since(KEPT_MS);
    return { calls: recent.length, failures: recent.filter(({ failed }) => failed).length };
  }

  /** Failures of the last `ms` milliseconds. */
  failuresWithin(ms: number): number {
    return this.#since(ms).filter(({ failed }) => failed).length;
  }

  #since(ms: number) {
    const from = performance.now() - ms;
    return this.#window.filter(({ at }) => at >= from);
  }
}
