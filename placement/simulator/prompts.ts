import type { CallSizes } from './call-sizes.js';
import { ATTEMPT, type Calls, NONE_FITS, NONE_NOW, type Reports } from './calls.js';
import type { Devices } from './devices.js';
import { EVENT } from './events.js';
import { DRAW, drawOf } from './random.js';
import type { SimulatedPool, SimulatedReplica } from './system.js';
import { type ContinuousTable, promptAt } from './table.js';

/** The replicas of a placement, as `Servers` numbers them. */
interface Numbered {
  readonly replicas: readonly SimulatedReplica[];
  /** By pool: its first replica; after the last pool the total number. */
  readonly firstReplica: Int32Array;
  readonly deviceOf: Int32Array;
  readonly sizes: CallSizes;
  readonly devices: Devices;
}

/**
 * The replicas that only process prompts, for a pool that generates the answers. A replica takes as many waiting prompts, in
 * order, as have together the tokens of a step (`chunkTokens`), without those in its prefix cache, and fit its memory; at least one. All of them end with the
 * step, whose time is the sum of theirs: as where prompts and answers share a replica, a batch of prompts gains nothing.
 * Their caches stay in its memory until they have been pulled.
 */
export class Prompts {
  readonly #of: Numbered;
  readonly #calls: Calls;
  readonly #luck: { readonly seed: number; readonly slowdown: number };
  readonly #reports: Reports;
  /** By replica: tokens of prompts in its memory, and how many prompts they are. */
  readonly #heldTokens: Float64Array;
  readonly #held: Int32Array;

  constructor(
    of: Numbered,
    calls: Calls,
    luck: { readonly seed: number; readonly slowdown: number },
    reports: Reports,
  ) {
    this.#of = of;
    this.#calls = calls;
    this.#luck = luck;
    this.#reports = reports;
    this.#heldTokens = new Float64Array(of.replicas.length);
    this.#held = new Int32Array(of.replicas.length);
  }

  /** Gives a pool's first waiting prompts to an idle replica. Returns it, or `NONE_NOW`, or `NONE_FITS` for the first call. */
  start(p: number, { maxBatch }: SimulatedPool, now: number): number {
    const { sizes, replicas, devices } = this.#of;
    const { queues, times, stageOf } = this.#calls;
    let call = queues.first(p);
    const replica = this.#replicaFor(p, call, now);
    if (replica < 0) return replica;
    const room = (replicas[replica] as SimulatedReplica).mostTokens - (this.#heldTokens[replica] as number);
    const most = Math.min(maxBatch, queues.length[p] as number);
    let size = 0;
    let tokens = 0;
    let unread = 0;
    let ms = 0;
    for (; size < most; size += 1) {
      const at = sizes.at(replica, call);
      const { prefill, chunkTokens } = sizes.table(at) as ContinuousTable;
      const own = sizes.tokensIn(at, call);
      const cached = sizes.tokensCached(at, call);
      // Without a limit of tokens a server processes one prompt after the other.
      const isFull =
        chunkTokens === Number.POSITIVE_INFINITY || unread + own - cached > chunkTokens || tokens + own > room;
      if (size > 0 && isFull) break;
      ms += promptAt(prefill, own, cached, this.draw(call));
      tokens += own;
      unread += own - cached;
      call = queues.after(call);
    }
    this.#heldTokens[replica] = (this.#heldTokens[replica] as number) + tokens;
    this.#held[replica] = (this.#held[replica] as number) + size;
    devices.work(replica, now, ms * this.#luck.slowdown);
    queues.take(p, replica, size, now, times, stageOf);
    return replica;
  }

  /** The idle replica with memory for a prompt that its inputs reach first. */
  #replicaFor(p: number, call: number, now: number): number {
    const { sizes, firstReplica, replicas, devices } = this.#of;
    let best = NONE_FITS;
    let least = Number.POSITIVE_INFINITY;
    for (let replica = firstReplica[p] as number; replica < (firstReplica[p + 1] as number); replica += 1) {
      const tokens = sizes.tokensIn(sizes.at(replica, call), call);
      const { mostTokens } = replicas[replica] as SimulatedReplica;
      if (tokens > mostTokens) continue;
      if (best === NONE_FITS) best = NONE_NOW;
      if (devices.isRunning(replica) || (this.#heldTokens[replica] as number) + tokens > mostTokens) continue;
      const travel = this.#reports.travelMs(replica, call, now);
      if (travel >= least) continue;
      best = replica;
      least = travel;
    }
    return best;
  }

  /** The draw of a call's time for its prompt. */
  draw(call: number): number {
    return drawOf(this.#luck.seed, call + (this.#calls.tries[call] as number) * ATTEMPT, DRAW.prompt);
  }

  /** Prompts have ended: their caches can be pulled when their inputs and the protocol have had their time. */
  end(replica: number, now: number): void {
    const { queues, times, stageOf, handover, events } = this.#calls;
    let call = queues.taken(replica);
    for (let i = queues.batch[replica] as number; i > 0; i -= 1) {
      const next = queues.after(call);
      const v = stageOf[call % stageOf.length] as number;
      const begun = times.startOf(call);
      handover.made(call, v, replica, begun, now);
      const delay = this.#reports.travelMs(replica, call, begun) + this.#of.sizes.overheadMs(replica, v);
      events.push(now + delay, EVENT.offered, call);
      call = next;
    }
    this.#of.devices.work(replica, now, Number.POSITIVE_INFINITY);
  }

  /** Frees the memory of the replica that held a call's cache, and returns it. */
  release(call: number): number {
    const { sizes } = this.#of;
    const replica = this.#calls.handover.release(call);
    const left = (this.#held[replica] as number) - 1;
    this.#held[replica] = left;
    const tokens = sizes.tokensIn(sizes.at(replica, call), call);
    // Without what rounding leaves.
    this.#heldTokens[replica] = left === 0 ? 0 : (this.#heldTokens[replica] as number) - tokens;
    return replica;
  }
}
