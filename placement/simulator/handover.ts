import type { HandoverResult, SimulatedDevices, SimulatedStage } from './system.js';

/** No replica has the cache of a call's prompt. */
const NONE = -1;

/**
 * The way of key-value caches from the replicas that process prompts to those that generate answers (Y. Zhong et al.:
 * DistServe: Disaggregating Prefill and Decoding for Goodput-optimized Large Language Model Serving, OSDI 2024, sections 3.3
 * and 4.3; P. Patel et al.: Splitwise: Efficient Generative LLM Inference Using Phase Splitting, ISCA 2024, section 4.2):
 *
 * - The replica that generates pulls a cache when it admits the call. Until the transfer has ended, the cache occupies the
 *   memory of both replicas.
 * - A transfer takes the latency of the link between the two devices, and the cache's bytes over its bandwidth. A device sends
 *   or receives one cache at a time: further ones wait.
 * - It takes no computing time of either device.
 */
export class Handover {
  readonly #stages: readonly SimulatedStage[];
  readonly #devices: SimulatedDevices;
  readonly #calls: number;
  /** By call: the replica with the cache of its prompt; allocated when a placement hands over. */
  #holder = new Int32Array(0);
  /** By device: when its last transfer ends. */
  readonly #freeAt: Float64Array;
  // Sums by stage.
  readonly #made: Float64Array;
  readonly #prefill: Float64Array;
  readonly #pulled: Float64Array;
  readonly #waited: Float64Array;
  readonly #moved: Float64Array;
  readonly #batches: Float64Array;
  /** Whether any pool of the placement hands over. */
  used = false;

  constructor(stages: readonly SimulatedStage[], devices: SimulatedDevices, calls: number) {
    this.#stages = stages;
    this.#devices = devices;
    this.#calls = calls;
    this.#freeAt = new Float64Array(devices.concurrency.length);
    const of = () => new Float64Array(stages.length);
    this.#made = of();
    this.#prefill = of();
    this.#pulled = of();
    this.#waited = of();
    this.#moved = of();
    this.#batches = of();
  }

  reset(used: boolean): void {
    this.used = used;
    if (!used) return;
    if (this.#holder.length === 0) this.#holder = new Int32Array(this.#calls);
    this.#holder.fill(NONE);
    this.#freeAt.fill(0);
    for (const sums of [this.#made, this.#prefill, this.#pulled, this.#waited, this.#moved, this.#batches])
      sums.fill(0);
  }

  /** The replica that has the cache of a call's prompt; negative: none has. */
  holderOf(call: number): number {
    return this.used ? (this.#holder[call] as number) : NONE;
  }

  /** A replica has processed a call's prompt, which it had begun at `since`. */
  made(call: number, v: number, replica: number, since: number, now: number): void {
    this.#holder[call] = replica;
    this.#made[v] = (this.#made[v] as number) + 1;
    this.#prefill[v] = (this.#prefill[v] as number) + (now - since);
  }

  /** A replica that generates admits a call, which has waited since then. */
  started(_: number, v: number, since: number, now: number, batch: number): void {
    this.#pulled[v] = (this.#pulled[v] as number) + 1;
    this.#waited[v] = (this.#waited[v] as number) + (now - since);
    this.#batches[v] = (this.#batches[v] as number) + batch;
  }

  /** Milliseconds of a transfer on idle links. */
  wayMs(from: number, to: number, bytes: number): number {
    return this.#devices.transferMs(from, to, bytes);
  }

  /** Begins the transfer of an admitted call's cache as soon as both devices are free for it. Returns when it ends. */
  pull(v: number, from: number, to: number, bytes: number, now: number): number {
    const begins = Math.max(now, this.#freeAt[from] as number, this.#freeAt[to] as number);
    const ends = begins + this.wayMs(from, to, bytes);
    this.#freeAt[from] = ends;
    this.#freeAt[to] = ends;
    this.#moved[v] = (this.#moved[v] as number) + (ends - now);
    return ends;
  }

  /** Nobody holds a call's cache any more for another replica. Returns the replica that did. */
  release(call: number): number {
    const holder = this.#holder[call] as number;
    this.#holder[call] = NONE;
    return holder;
  }

  /** By stage; undefined for those whose calls are not handed over. */
  results(): (HandoverResult | undefined)[] {
    const mean = (sum: number, of: number) => (of > 0 ? sum / of : 0);
    return this.#stages.map((_, v) => {
      const made = this.#made[v] as number;
      const pulled = this.#pulled[v] as number;
      if (made === 0) return undefined;
      return {
        prefillMs: mean(this.#prefill[v] as number, made),
        waitMs: mean(this.#waited[v] as number, pulled),
        transferMs: mean(this.#moved[v] as number, pulled),
        batch: mean(this.#batches[v] as number, pulled),
      };
    });
  }
}
