/** Calls that a percentile is taken of: enough for the 99.9th, the highest that a policy may name. */
const WINDOW = 2_000;
/** Fewer samples than this say nothing. */
const LEAST = 32;
/** Samples beyond the percentile that make it one: with fewer it is only the longest call of the window. */
const LEAST_BEYOND = 2;
/** New samples after which a percentile is computed again: sorting a full window takes 0.2 ms, and it moves slowly. */
const REFRESH = 16;

/** Latencies of a pool's last successful calls, in milliseconds. A pool has one model and one stage kind, so they compare. */
export class Latencies {
  readonly #window: number[] = [];
  #added = 0;
  readonly #known = new Map<number, { readonly value: number; readonly at: number }>();

  add(ms: number): void {
    this.#window[this.#added % WINDOW] = ms;
    this.#added += 1;
  }

  /** The latency that `percentile` % of the recent calls stayed below; undefined while there are too few to tell. */
  percentile(percentile: number): number | undefined {
    const count = this.#window.length;
    const index = Math.ceil((count * percentile) / 100);
    if (count < LEAST || count - index < LEAST_BEYOND) return undefined;
    const known = this.#known.get(percentile);
    if (known && this.#added - known.at < REFRESH) return known.value;
    const sorted = this.#window.toSorted((a, b) => a - b);
    const value = sorted[index] as number;
    this.#known.set(percentile, { value, at: this.#added });
    return value;
  }
}
