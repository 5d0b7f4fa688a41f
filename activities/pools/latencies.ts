/** Calls in the window of a percentile: enough for the 99.9th, the highest that a policy may name. */
const WINDOW = 2_000;
/** Minimum number of samples. */
const LEAST = 32;
/** Minimum number of samples beyond the percentile: with fewer it would be only the longest call of the window. */
const LEAST_BEYOND = 2;
/**
 * New samples after which a percentile is recomputed: sorting a full window takes 0.2 ms, and the value changes slowly.
 */
const REFRESH = 16;

/**
 * Latencies of a pool's last successful calls, in milliseconds. They are comparable because a pool has one model and
 * one stage kind.
 */
export class Latencies {
  readonly #window: number[] = [];
  #added = 0;
  readonly #known = new Map<number, { readonly value: number; readonly at: number }>();

  add(ms: number): void {
    this.#window[this.#added % WINDOW] = ms;
    this.#added += 1;
  }

  /**
   * The latency in milliseconds below which `percentile` % of the recent calls stayed; undefined with too few samples.
   */
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
