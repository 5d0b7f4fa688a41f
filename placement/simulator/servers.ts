import { CallSizes } from './call-sizes.js';
import { ATTEMPT, type Calls, NONE_FITS, NONE_NOW, type Reports } from './calls.js';
import { Devices } from './devices.js';
import { EVENT, type Events } from './events.js';
import { Prompts } from './prompts.js';
import type { Queues } from './queues.js';
import { DRAW, drawOf } from './random.js';
import { NEXT, Sequences } from './sequences.js';
import type { StageTimes } from './stage-times.js';
import { evenSteps } from './steps.js';
import type { SimulatedDevices, SimulatedPlacement, SimulatedPool, SimulatedReplica } from './system.js';
import { type ContinuousTable, type DynamicTable, firstContinuous, promptAt, quantileAt } from './table.js';

const NO_STEPS = evenSteps(1);
/** Share of the cache that stays free when a sequence is admitted, as in vLLM, so that it is not preempted at once. */
const WATERMARK = 0.01;

/** The replicas of a placement: they batch as Triton does, or let sequences join as vLLM does. */
export class Servers {
  readonly #calls: Calls;
  readonly #pools: readonly SimulatedPool[];
  readonly #replicas: readonly SimulatedReplica[];
  readonly #poolOf: Int32Array;
  readonly #sizes: CallSizes;
  readonly #queues: Queues;
  readonly #sequences: Sequences;
  readonly #prompts: Prompts;
  /** By replica: what its sequences do at the end of its work. */
  readonly #planned: Uint8Array;
  readonly #events: Events;
  readonly #times: StageTimes;
  readonly #stageOfCall: Int32Array;
  readonly #perRequest: number;
  readonly #seed: number;
  readonly #slowdown: number;
  readonly #reports: Reports;
  readonly devices: Devices;
  /** By pool: its first replica; after the last pool the total number. */
  readonly firstReplica: Int32Array;
  /** By pool: replicas without work. */
  readonly #idle: Int32Array;
  /** By pool: the one that processes the prompts of its calls; itself if no other does. */
  readonly #firstOf: Int32Array;
  readonly deviceOf: Int32Array;
  preemptions = 0;

  constructor(
    { pools }: SimulatedPlacement,
    system: Pick<SimulatedDevices, 'concurrency' | 'slowdown' | 'serial'>,
    calls: Calls,
    luck: { readonly seed: number; readonly slowdown: number },
    reports: Reports,
  ) {
    this.#calls = calls;
    this.#pools = pools;
    this.#queues = calls.queues;
    this.#events = calls.events;
    this.#times = calls.times;
    this.#stageOfCall = calls.stageOf;
    this.#perRequest = calls.stageOf.length;
    this.#seed = luck.seed;
    this.#slowdown = luck.slowdown;
    this.#reports = reports;
    const replicas = pools.flatMap((pool) => pool.replicas);
    this.#replicas = replicas;
    this.#poolOf = Int32Array.from(pools.flatMap((pool, p) => pool.replicas.map(() => p)));
    this.firstReplica = new Int32Array(pools.length + 1);
    for (const [p, pool] of pools.entries()) {
      this.firstReplica[p + 1] = (this.firstReplica[p] as number) + pool.replicas.length;
    }
    this.#idle = Int32Array.from(pools, (pool) => pool.replicas.length);
    this.#firstOf = Int32Array.from(pools, (_, p) => {
      const first = pools.findIndex(({ handsTo }) => handsTo?.pool === p);
      return first < 0 ? p : first;
    });
    this.deviceOf = Int32Array.from(replicas, ({ device }) => device);
    const most = Int32Array.from(
      pools.flatMap(({ batching, handsTo, maxBatch, replicas: own }) =>
        own.map(() => (batching === 'continuous' && handsTo === undefined ? maxBatch : 0)),
      ),
    );
    this.devices = new Devices({ ...system, serial: this.#inTurns(system.serial) }, replicas, calls.events);
    calls.handover.reset(pools.some(({ handsTo }) => handsTo !== undefined));
    this.#queues.reset(pools.length, replicas.length);
    const llms = replicas.map(({ tables }) => firstContinuous(tables));
    this.#sequences = new Sequences(
      most,
      Float64Array.from(replicas, ({ mostTokens }) => mostTokens),
      Float64Array.from(llms, (table) => table?.chunkTokens ?? Number.POSITIVE_INFINITY),
      llms.map((table) => table?.steps ?? NO_STEPS),
    );
    this.#planned = new Uint8Array(replicas.length);
    this.#sizes = new CallSizes(pools, calls.load, calls.stages, calls.stageOf, luck.seed);
    const { firstReplica, deviceOf, devices } = this;
    const numbered = { replicas, firstReplica, deviceOf, devices, sizes: this.#sizes };
    this.#prompts = new Prompts(numbered, calls, luck, reports);
  }

  /** Devices that run one batch after the other; the steps of sequences take turns with everything else. */
  #inTurns(serial: readonly boolean[] | undefined): readonly boolean[] {
    const inTurns = serial?.slice() ?? [];
    for (const { batching, replicas } of this.#pools)
      if (batching === 'continuous') for (const { device } of replicas) inTurns[device] = false;
    return inTurns;
  }

  /** Time of a stage's call outside the device of a replica. */
  overheadMs(replica: number, v: number): number {
    return this.#sizes.overheadMs(replica, v);
  }

  /** Whether a replica takes calls whose prompts another one has processed. */
  isHandedTo(replica: number): boolean {
    const p = this.#poolOf[replica] as number;
    return this.#firstOf[p] !== p;
  }

  /** Tokens that a call of a pool generates; NaN: the pool generates none. */
  outputTokens(p: number, v: number, call: number): number {
    const at = (this.firstReplica[p] as number) * this.#calls.stages + v;
    return this.#sizes.table(at)?.batching === 'continuous' ? this.#sizes.tokensOut(at, call) : Number.NaN;
  }

  /** Puts a call into the queue of its pool, or of the one that processes the prompts for it. */
  enqueue(pool: number, call: number, now: number): void {
    const first = this.#firstOf[pool] as number;
    this.#queues.add(first, call, now);
    this.tryStart(first, now);
  }

  /** The cache of a call's prompt can be pulled: the call waits for a replica that generates. */
  offer(call: number, now: number): void {
    const from = this.#poolOf[this.#calls.handover.holderOf(call)] as number;
    const to = (this.#pools[from] as SimulatedPool).handsTo?.pool ?? from;
    this.#queues.add(to, call, now);
    this.#admit(to, now);
  }

  /** Gives a pool's waiting calls to its replicas with room: the calls in order, the nearest and fastest replica first. */
  tryStart(p: number, now: number): void {
    const pool = this.#pools[p] as SimulatedPool;
    if (pool.handsTo) this.#startPrompts(p, pool, now);
    else if (pool.batching === 'continuous') this.#admit(p, now);
    else this.#startBatches(p, pool, now);
  }

  #startPrompts(p: number, pool: SimulatedPool, now: number): void {
    while ((this.#queues.length[p] as number) > 0) {
      const started = this.#prompts.start(p, pool, now);
      if (started === NONE_NOW) return;
      if (started === NONE_FITS) this.#refuse(p, this.#queues.first(p), now);
    }
  }

  /** Ends a waiting call that fits the memory of no replica. The replicas keep the batches that they have taken. */
  #refuse(p: number, call: number, now: number): void {
    this.#queues.drop(p, now, this.#times, this.#stageOfCall);
    this.#reports.oversized(call, now);
  }

  #startBatches(p: number, pool: SimulatedPool, now: number): void {
    while ((this.#queues.length[p] as number) > 0 && (this.#idle[p] as number) > 0) {
      const size = this.#batchSize(p, pool, now);
      if (size === 0) return;
      const replica = this.#idleReplica(p, now);
      this.#idle[p] = (this.#idle[p] as number) - 1;
      this.devices.work(replica, now, this.#batchMs(p, replica, size) * this.#slowdown);
      this.#queues.take(p, replica, size, now, this.#times, this.#stageOfCall);
    }
  }

  /**
   * The size of a pool's next batch as Triton forms it: the largest preferred size that is waiting, or all waiting calls
   * once the oldest has waited long enough. 0: it waits for more.
   */
  #batchSize(p: number, { maxBatch, preferred, maxQueueDelayMs }: SimulatedPool, now: number): number {
    const waiting = this.#queues.length[p] as number;
    for (let i = preferred.length - 1; i >= 0; i -= 1) {
      const each = preferred[i] as number;
      if (each <= waiting && each <= maxBatch) return each;
    }
    if (waiting >= maxBatch) return maxBatch;
    const until = this.#queues.oldest(p) + maxQueueDelayMs;
    if (until <= now) return waiting;
    if (this.#queues.remind(p, until)) this.#events.push(until, EVENT.timer, p);
    return 0;
  }

  /** The idle replica that the first waiting call reaches first; of equals the first listed, which is the fastest. */
  #idleReplica(p: number, now: number): number {
    const call = this.#queues.first(p);
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let replica = this.firstReplica[p] as number; replica < (this.firstReplica[p + 1] as number); replica += 1) {
      if (this.devices.isRunning(replica)) continue;
      const travel = this.#reports.travelMs(replica, call, now);
      if (travel >= least) continue;
      best = replica;
      least = travel;
      if (travel === 0) break;
    }
    return best;
  }

  /** A batch takes as long as its largest member would in a batch of this size. */
  #batchMs(p: number, replica: number, size: number): number {
    let call = this.#queues.first(p);
    const draw = drawOf(this.#seed, call + (this.#calls.tries[call] as number) * ATTEMPT, DRAW.service);
    let longest = 0;
    for (let i = 0; i < size; i += 1) {
      const at = this.#sizes.at(replica, call);
      const table = this.#sizes.table(at) as DynamicTable;
      const ms = quantileAt(table.call, size, this.#sizes.size(at, call) * this.#reports.shareOf(call), draw);
      if (ms > longest) longest = ms;
      call = this.#queues.after(call);
    }
    return longest;
  }

  /** Admits waiting sequences in order while a replica has room for the first one's prompt. */
  #admit(p: number, now: number): void {
    while ((this.#queues.length[p] as number) > 0) {
      const call = this.#queues.first(p);
      const v = this.#stageOfCall[call % this.#perRequest] as number;
      const generated = this.#calls.generated[call] as number;
      const replica = this.#roomiest(p, call, v, generated, now);
      const isHeld = this.#calls.handover.holderOf(call) >= 0;
      if (replica === NONE_FITS) {
        this.#refuse(p, call, now);
        if (isHeld) this.#release(call, now);
        continue;
      }
      if (replica < 0) return;
      if (isHeld) {
        this.#pull(p, replica, call, now);
        continue;
      }
      const at = replica * this.#calls.stages + v;
      const table = this.#sizes.table(at) as ContinuousTable;
      const promptTokens = this.#sizes.tokensIn(at, call) + generated;
      // What lost its place in a full cache is processed anew, prefix included.
      const cached = generated > 0 ? 0 : this.#sizes.tokensCached(at, call);
      const promptMs = promptAt(table.prefill, promptTokens, cached, this.#prompts.draw(call));
      const unreadTokens = promptTokens - cached;
      const more = Math.max(0, this.#sizes.tokensOut(at, call) - 1 - generated);
      this.#advance(replica, now);
      const every = this.#calls.every[v] as number;
      this.#sequences.join(replica, { call, promptMs, promptTokens, unreadTokens, more, every, had: generated });
      this.#queues.take(p, replica, 1, now, this.#times, this.#stageOfCall, this.#sequences.count(replica));
      this.#plan(replica, now);
    }
  }

  /** A replica that generates admits a call, and pulls the cache of its prompt. */
  #pull(p: number, replica: number, call: number, now: number): void {
    const { handover } = this.#calls;
    const holder = handover.holderOf(call);
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    const tokens = this.#sizes.tokensIn(this.#sizes.at(replica, call), call);
    this.#advance(replica, now);
    this.#sequences.expect(replica, tokens);
    this.#queues.take(p, replica, 1, now, handover, this.#stageOfCall, this.#sequences.count(replica));
    const bytes = this.#cacheBytes(holder, tokens);
    const [from, to] = [this.deviceOf[holder] as number, this.deviceOf[replica] as number];
    this.#events.push(handover.pull(v, from, to, bytes, now), EVENT.pulled, call, replica);
    this.#plan(replica, now);
  }

  /** Bytes of a prompt's cache that a replica holds. */
  #cacheBytes(holder: number, tokens: number): number {
    return tokens * ((this.#pools[this.#poolOf[holder] as number] as SimulatedPool).handsTo?.tokenBytes ?? 0);
  }

  /** The cache of an admitted call's prompt has arrived. */
  endPull(call: number, replica: number, now: number): void {
    const at = this.#sizes.at(replica, call);
    const promptTokens = this.#sizes.tokensIn(at, call);
    const more = Math.max(0, this.#sizes.tokensOut(at, call) - 1);
    const every = this.#calls.every[this.#stageOfCall[call % this.#perRequest] as number] as number;
    this.#advance(replica, now);
    this.#sequences.arrive(replica, { call, promptTokens, more, every });
    this.#plan(replica, now);
    this.#release(call, now);
  }

  /** The replica that processed a prompt has room for others. */
  #release(call: number, now: number): void {
    this.tryStart(this.#poolOf[this.#prompts.release(call)] as number, now);
  }

  /** The replica with the fewest sequences among those with room for a call; negative: none now, or none at all. */
  #roomiest(p: number, call: number, v: number, generated: number, now: number): number {
    let best = NONE_FITS;
    let fewest = Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (let replica = this.firstReplica[p] as number; replica < (this.firstReplica[p + 1] as number); replica += 1) {
      const at = replica * this.#calls.stages + v;
      const tokensIn = this.#sizes.tokensIn(at, call);
      const { mostTokens } = this.#replicas[replica] as SimulatedReplica;
      if (tokensIn + this.#sizes.tokensOut(at, call) > mostTokens) continue;
      if (best === NONE_FITS) best = NONE_NOW;
      const count = this.#sequences.count(replica);
      if (count > fewest || count >= (this.#pools[p] as SimulatedPool).maxBatch) continue;
      this.#advance(replica, now);
      if (!this.#sequences.hasRoom(replica, tokensIn + generated + WATERMARK * mostTokens)) continue;
      const holder = this.#calls.handover.holderOf(call);
      const travel =
        holder < 0
          ? this.#reports.travelMs(replica, call, now)
          : this.#calls.handover.wayMs(
              this.deviceOf[holder] as number,
              this.deviceOf[replica] as number,
              this.#cacheBytes(holder, tokensIn),
            );
      if (count === fewest && travel >= least) continue;
      best = replica;
      fewest = count;
      least = travel;
      if (count === 0 && travel === 0) break;
    }
    return best;
  }

  #advance(replica: number, now: number): void {
    this.#sequences.advance(replica, this.devices.readOf(replica, now) / this.#slowdown);
  }

  #plan(replica: number, now: number): void {
    this.#planned[replica] = this.#sequences.next(replica);
    this.devices.work(replica, now, this.#sequences.left(replica) * this.#slowdown);
  }

  /** Ends a replica's work that is due; each of its calls is reported before the next work starts. */
  endWork(replica: number, now: number): void {
    const p = this.#poolOf[replica] as number;
    if (this.#pools[p]?.handsTo) this.#prompts.end(replica, now);
    else if (this.#pools[p]?.batching === 'continuous') this.#endSequences(p, replica, now);
    else {
      let call = this.#queues.taken(replica);
      for (let i = this.#queues.batch[replica] as number; i > 0; i -= 1) {
        const next = this.#queues.after(call);
        this.#reports.ended(replica, call, now);
        call = next;
      }
      // Only now, so that follow-up calls on the same replica form a batch together.
      this.devices.work(replica, now, Number.POSITIVE_INFINITY);
      this.#idle[p] = (this.#idle[p] as number) + 1;
    }
    this.tryStart(p, now);
  }

  #endSequences(p: number, replica: number, now: number): void {
    this.#advance(replica, now);
    const planned = this.#planned[replica];
    let ended = -1;
    let makes = -1;
    let tokens = 0;
    if (planned === NEXT.prompt) {
      makes = this.#sequences.read(replica);
      tokens = 1 + (this.#calls.generated[makes] as number);
      this.#times.firstToken(makes, now);
    } else if (planned === NEXT.end && this.#sequences.hasEnded(replica)) {
      ended = this.#sequences.leave(replica);
      // An answer of one token, to a prompt that another replica has processed.
      if (Number.isNaN(this.#times.firstTokenOf(ended))) {
        makes = ended;
        tokens = 1;
        this.#times.firstToken(ended, now);
      }
    } else if (planned === NEXT.end) {
      makes = this.#sequences.passPiece(replica);
      tokens = this.#sequences.generated;
      this.#times.firstToken(makes, now);
    } else if (planned === NEXT.full) {
      const call = this.#sequences.preempt(replica);
      this.preemptions += 1;
      this.#calls.generated[call] = (this.#calls.generated[call] as number) + this.#sequences.generated;
      this.#queues.addFirst(p, call, now);
    }
    this.#plan(replica, now);
    if (makes >= 0) this.#reports.generated(replica, makes, tokens, now);
    if (ended >= 0) this.#reports.ended(replica, ended, now);
  }
}
