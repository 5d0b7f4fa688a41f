import type { Observed } from './system.js';

/**
 * Figures of stages by request, recorded for the objectives that name them. A figure that a run does not have is NaN: of a
 * stage that it skips, or of one that had not ended.
 */
export class Observations {
  readonly #observed: readonly Observed[];
  readonly values: readonly Float64Array[];
  /** By stage: the figures to record of it. */
  readonly #of: readonly (readonly number[])[];
  #limits: readonly { readonly afterMs: number; readonly late: number }[] = [];
  readonly #late: Int32Array;
  /** More values than allowed are above a limit. */
  hopeless = false;

  constructor(observed: readonly Observed[], stages: number, requests: number) {
    this.#observed = observed;
    this.values = observed.map(() => new Float64Array(requests));
    this.#of = Array.from({ length: stages }, (_, v) => observed.flatMap(({ stage }, i) => (stage === v ? [i] : [])));
    this.#late = new Int32Array(observed.length);
  }

  /** Whether any figure of a stage is recorded. */
  has(v: number): boolean {
    return (this.#of[v] as readonly number[]).length > 0;
  }

  reset(limits: readonly { readonly afterMs: number; readonly late: number }[] = []): void {
    for (const each of this.values) each.fill(Number.NaN);
    this.#late.fill(0);
    this.#limits = limits;
    this.hopeless = false;
  }

  /** Records a figure of a run; of several calls the first output of the earliest, else the largest value. */
  record(v: number, metric: Observed['metric'], request: number, ms: number): void {
    for (const i of this.#of[v] as readonly number[]) {
      if (this.#observed[i]?.metric !== metric) continue;
      const values = this.values[i] as Float64Array;
      const before = values[request] as number;
      if (!Number.isNaN(before) && (metric === 'first' || before >= ms)) continue;
      values[request] = ms;
      const limit = this.#limits[i];
      if (limit === undefined || ms <= limit.afterMs || before > limit.afterMs) continue;
      const late = (this.#late[i] as number) + 1;
      this.#late[i] = late;
      if (late > limit.late) this.hopeless = true;
    }
  }

  /** A run that can never be served: what it has no figure of is infinite. */
  outgrown(stages: readonly number[], request: number): void {
    for (const v of stages) {
      for (const i of this.#of[v] as readonly number[]) {
        const values = this.values[i] as Float64Array;
        if (Number.isNaN(values[request] as number)) values[request] = Number.POSITIVE_INFINITY;
      }
    }
  }
}
