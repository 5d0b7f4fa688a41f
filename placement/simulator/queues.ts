import type { StageTimes } from './stage-times.js';

/** First in, first out, for each replica; and the batch that each has taken. Links over typed arrays. */
export class Queues {
  readonly #next: Int32Array;
  readonly #since: Float64Array;
  #head = new Int32Array(0);
  #tail = new Int32Array(0);
  #taken = new Int32Array(0);
  #reminded = new Float64Array(0);
  /** Waiting calls, and calls in the batch, by replica. */
  length = new Int32Array(0);
  batch = new Int32Array(0);

  constructor(calls: number) {
    this.#next = new Int32Array(calls);
    this.#since = new Float64Array(calls);
  }

  reset(replicas: number): void {
    this.#head = new Int32Array(replicas);
    this.#tail = new Int32Array(replicas);
    this.#taken = new Int32Array(replicas);
    this.#reminded = new Float64Array(replicas).fill(Number.NEGATIVE_INFINITY);
    this.length = new Int32Array(replicas);
    this.batch = new Int32Array(replicas);
  }

  add(replica: number, call: number, now: number): void {
    this.#since[call] = now;
    if (this.length[replica] === 0) this.#head[replica] = call;
    else this.#next[this.#tail[replica] as number] = call;
    this.#tail[replica] = call;
    this.length[replica] = (this.length[replica] as number) + 1;
  }

  first(replica: number): number {
    return this.#head[replica] as number;
  }

  /** The call behind a waiting or taken one. */
  after(call: number): number {
    return this.#next[call] as number;
  }

  /** Since when the first call has waited. */
  oldest(replica: number): number {
    return this.#since[this.#head[replica] as number] as number;
  }

  /** Whether a timer for this time is new. */
  remind(replica: number, at: number): boolean {
    if (this.#reminded[replica] === at) return false;
    this.#reminded[replica] = at;
    return true;
  }

  /** The first call of the batch; the others follow it. */
  taken(replica: number): number {
    return this.#taken[replica] as number;
  }

  /** Takes the first `size` calls as a batch. `beside`: the size that counts, if larger. */
  take(replica: number, size: number, now: number, times: StageTimes, stageOf: Int32Array, beside = size): void {
    let call = this.#head[replica] as number;
    this.#taken[replica] = call;
    this.batch[replica] = size;
    for (let i = 0; i < size; i += 1) {
      const v = stageOf[call % stageOf.length] as number;
      times.started(call, v, this.#since[call] as number, now, beside);
      call = this.#next[call] as number;
    }
    this.#head[replica] = call;
    this.length[replica] = (this.length[replica] as number) - size;
  }
}
