import type { StageTimes } from './stage-times.js';

/**
 * The waiting calls of each pool, first in, first out: one queue for all replicas of a pool, as the runtime has one task
 * queue for them; and the batch that each replica has taken. Links over typed arrays.
 */
export class Queues {
  readonly #next: Int32Array;
  readonly #since: Float64Array;
  #head = new Int32Array(0);
  #tail = new Int32Array(0);
  #taken = new Int32Array(0);
  #reminded = new Float64Array(0);
  /** Waiting calls, by pool. */
  length = new Int32Array(0);
  /** The most calls that waited when some were taken, by pool. */
  longest = new Int32Array(0);
  /** Calls in the batch, by replica. */
  batch = new Int32Array(0);

  constructor(calls: number) {
    this.#next = new Int32Array(calls);
    this.#since = new Float64Array(calls);
  }

  reset(pools: number, replicas: number): void {
    this.#head = new Int32Array(pools);
    this.#tail = new Int32Array(pools);
    this.#reminded = new Float64Array(pools).fill(Number.NEGATIVE_INFINITY);
    this.length = new Int32Array(pools);
    this.longest = new Int32Array(pools);
    this.#taken = new Int32Array(replicas);
    this.batch = new Int32Array(replicas);
  }

  add(pool: number, call: number, now: number): void {
    this.#since[call] = now;
    if (this.length[pool] === 0) this.#head[pool] = call;
    else this.#next[this.#tail[pool] as number] = call;
    this.#tail[pool] = call;
    this.length[pool] = (this.length[pool] as number) + 1;
  }

  /** Adds a call before all others: one that lost its place in memory. */
  addFirst(pool: number, call: number, now: number): void {
    this.#since[call] = now;
    if (this.length[pool] === 0) this.#tail[pool] = call;
    else this.#next[call] = this.#head[pool] as number;
    this.#head[pool] = call;
    this.length[pool] = (this.length[pool] as number) + 1;
  }

  first(pool: number): number {
    return this.#head[pool] as number;
  }

  /** The call behind a waiting or taken one. */
  after(call: number): number {
    return this.#next[call] as number;
  }

  /** Since when the first call has waited. */
  oldest(pool: number): number {
    return this.#since[this.#head[pool] as number] as number;
  }

  /** Whether a timer for this time is new. */
  remind(pool: number, at: number): boolean {
    if (this.#reminded[pool] === at) return false;
    this.#reminded[pool] = at;
    return true;
  }

  /** The first call of a replica's batch; the others follow it. */
  taken(replica: number): number {
    return this.#taken[replica] as number;
  }

  /** A replica takes a pool's first `size` calls as a batch. `beside`: the size that counts, if larger. */
  take(
    pool: number,
    replica: number,
    size: number,
    now: number,
    times: Pick<StageTimes, 'started'>,
    stageOf: Int32Array,
    beside = size,
  ): void {
    let call = this.#head[pool] as number;
    this.#taken[replica] = call;
    this.batch[replica] = size;
    if ((this.length[pool] as number) > (this.longest[pool] as number))
      this.longest[pool] = this.length[pool] as number;
    for (let i = 0; i < size; i += 1) {
      const v = stageOf[call % stageOf.length] as number;
      times.started(call, v, this.#since[call] as number, now, beside);
      call = this.#next[call] as number;
    }
    this.#head[pool] = call;
    this.length[pool] = (this.length[pool] as number) - size;
  }

  /** Removes a pool's first call, which no replica can take. */
  drop(pool: number, now: number, times: Pick<StageTimes, 'started'>, stageOf: Int32Array): void {
    const call = this.#head[pool] as number;
    if ((this.length[pool] as number) > (this.longest[pool] as number))
      this.longest[pool] = this.length[pool] as number;
    times.started(call, stageOf[call % stageOf.length] as number, this.#since[call] as number, now, 1);
    this.#head[pool] = this.#next[call] as number;
    this.length[pool] = (this.length[pool] as number) - 1;
  }
}
