import { percentile, sortedNumbers } from './percentile.js';
import type { SimulatedStage, StageResult } from './system.js';

/** Waits and services of the calls of each stage. */
export class StageTimes {
  readonly #stages: readonly SimulatedStage[];
  readonly #first: Int32Array;
  readonly #perRequest: number;
  readonly #count: number;
  /** By call: NaN until it starts; the last wait of a retried call. */
  readonly #wait: Float64Array;
  readonly #startedAt: Float64Array;
  /** When its first token was generated; NaN: none was. */
  readonly #firstAt: Float64Array;
  readonly #calls: Float64Array;
  readonly #waited: Float64Array;
  readonly #served: Float64Array;
  readonly #ended: Float64Array;
  readonly #batches: Float64Array;

  constructor(stages: readonly SimulatedStage[], count: number) {
    this.#stages = stages;
    this.#count = count;
    this.#first = new Int32Array(stages.length);
    let calls = 0;
    for (const [v, stage] of stages.entries()) {
      this.#first[v] = calls;
      calls += stage.calls;
    }
    this.#perRequest = calls;
    this.#wait = new Float64Array(count * calls).fill(Number.NaN);
    this.#startedAt = new Float64Array(count * calls);
    this.#firstAt = new Float64Array(count * calls).fill(Number.NaN);
    const of = () => new Float64Array(stages.length);
    this.#calls = of();
    this.#waited = of();
    this.#served = of();
    this.#ended = of();
    this.#batches = of();
  }

  /** @param calls of the last simulation, by number */
  reset(calls: number): void {
    this.#wait.fill(Number.NaN, 0, calls);
    this.#firstAt.fill(Number.NaN, 0, calls);
    for (const sums of [this.#calls, this.#waited, this.#served, this.#ended, this.#batches]) sums.fill(0);
  }

  started(call: number, v: number, since: number, now: number, batch: number): void {
    this.#wait[call] = now - since;
    this.#startedAt[call] = now;
    this.#calls[v] = (this.#calls[v] as number) + 1;
    this.#waited[v] = (this.#waited[v] as number) + (now - since);
    this.#batches[v] = (this.#batches[v] as number) + batch;
  }

  /** When a call was last started. */
  startOf(call: number): number {
    return this.#startedAt[call] as number;
  }

  /** A call's first token; a preempted one keeps its earlier first token. */
  firstToken(call: number, now: number): void {
    if (Number.isNaN(this.#firstAt[call] as number)) this.#firstAt[call] = now;
  }

  /** When a call had its first token; NaN: it has none. */
  firstTokenOf(call: number): number {
    return this.#firstAt[call] as number;
  }

  served(call: number, v: number, now: number): void {
    this.#ended[v] = (this.#ended[v] as number) + 1;
    this.#served[v] = (this.#served[v] as number) + (now - (this.#startedAt[call] as number));
  }

  /** `detailed`: with the 99th percentile of the wait, which requires sorting. */
  results(spanMs: number, detailed: boolean): StageResult[] {
    return this.#stages.map((_, v) => {
      const calls = this.#calls[v] as number;
      const mean = (sum: number, of: number) => (of > 0 ? sum / of : 0);
      return {
        calls,
        meanWaitMs: mean(this.#waited[v] as number, calls),
        meanServiceMs: mean(this.#served[v] as number, this.#ended[v] as number),
        meanBatch: mean(this.#batches[v] as number, calls),
        meanQueue: (this.#waited[v] as number) / spanMs,
        waitP99Ms: detailed ? this.#waitP99Ms(v) : Number.NaN,
      };
    });
  }

  #waitP99Ms(v: number): number {
    const each = this.#stages[v]?.calls ?? 0;
    const waits = new Float64Array(this.#count * each);
    for (let i = 0; i < waits.length; i += 1) {
      const request = Math.floor(i / each);
      waits[i] = this.#wait[request * this.#perRequest + (this.#first[v] as number) + (i % each)] as number;
    }
    const known = sortedNumbers(waits);
    return known.length > 0 ? percentile(known, 0.99) : 0;
  }
}
