import { Devices } from './devices.js';
import { EVENT, type Events } from './events.js';
import type { Load } from './load.js';
import type { Queues } from './queues.js';
import { DRAW, drawOf } from './random.js';
import { NEXT, Sequences } from './sequences.js';
import type { StageTimes } from './stage-times.js';
import { evenSteps } from './steps.js';
import type { SimulatedDevices, SimulatedPlacement, SimulatedPool, SimulatedReplica } from './system.js';
import { type ContinuousTable, type DynamicTable, quantileAt, type Table } from './table.js';

/** State shared with the simulator: numbering of calls, and their queues. */
export interface Calls {
  readonly load: Load;
  readonly stages: number;
  /** Stage of each call of a request. */
  readonly stageOf: Int32Array;
  /** Failed attempts, by call. */
  readonly tries: Uint8Array;
  /** Tokens generated after the first before a preemption, by call. */
  readonly generated: Float64Array;
  /** By stage: tokens after which a reader of its stream has another piece; infinite: nobody reads it. */
  readonly every: Float64Array;
  readonly queues: Queues;
  readonly times: StageTimes;
  readonly events: Events;
}

/** What the servers report to the simulator. */
export interface Reports {
  ended(replica: number, call: number, now: number): void;
  /** A sequence has its first token, or another piece of its stream; `tokens`: all so far. */
  generated(replica: number, call: number, tokens: number, now: number): void;
  /** Share of a whole input that a call works on: less than 1 for a piece of a stream. */
  shareOf(call: number): number;
  /** A call that fits the memory of no replica of its pool. */
  oversized(call: number, now: number): void;
  /** Time until all inputs of a call have arrived at a replica. */
  travelMs(replica: number, call: number, now: number): number;
}

const NO_STEPS = evenSteps(1);
/** Separates the draws of a call's attempts: above every call's number. */
export const ATTEMPT = 0x1000000;
/** Share of the cache that stays free when a sequence is admitted, as in vLLM, so that it is not preempted at once. */
const WATERMARK = 0.01;

/** The replicas of a placement: they batch as Triton does, or let sequences join as vLLM does. */
export class Servers {
  readonly #calls: Calls;
  readonly #pools: readonly SimulatedPool[];
  readonly #replicas: readonly SimulatedReplica[];
  readonly #poolOf: Int32Array;
  /** By replica and stage: the table, and the load's columns for its sizes; for batches the first is the size. */
  readonly #tables: readonly (Table | undefined)[];
  readonly #columns: readonly (Float64Array | undefined)[];
  readonly #columnsOut: readonly (Float64Array | undefined)[];
  readonly #queues: Queues;
  readonly #sequences: Sequences;
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
  readonly deviceOf: Int32Array;
  preemptions = 0;

  constructor(
    { pools }: SimulatedPlacement,
    { concurrency, serial }: Pick<SimulatedDevices, 'concurrency' | 'serial'>,
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
    this.deviceOf = Int32Array.from(replicas, ({ device }) => device);
    const most = Int32Array.from(
      pools.flatMap((pool) => pool.replicas.map(() => (pool.batching === 'continuous' ? pool.maxBatch : 0))),
    );
    this.devices = new Devices(concurrency, this.deviceOf, calls.events, this.#inTurns(serial, most));
    this.#queues.reset(pools.length, replicas.length);
    const llms = replicas.map(({ tables }) => {
      const table = tables.find((each) => each?.batching === 'continuous');
      return table?.batching === 'continuous' ? table : undefined;
    });
    this.#sequences = new Sequences(
      most,
      Float64Array.from(replicas, ({ mostTokens }) => mostTokens),
      Float64Array.from(llms, (table) => table?.chunkTokens ?? Number.POSITIVE_INFINITY),
      llms.map((table) => table?.steps ?? NO_STEPS),
    );
    this.#planned = new Uint8Array(replicas.length);
    const column = (name: string | undefined) => (name === undefined ? undefined : calls.load.sizes[name]);
    this.#tables = replicas.flatMap(({ tables }) => Array.from({ length: calls.stages }, (_, v) => tables[v]));
    this.#columns = this.#tables.map((table) => column(table?.batching === 'dynamic' ? table.column : table?.columnIn));
    this.#columnsOut = this.#tables.map((table) =>
      table?.batching === 'continuous' ? column(table.columnOut) : undefined,
    );
  }

  /** Devices that run one batch after the other; the steps of sequences take turns with everything else. */
  #inTurns(serial: readonly boolean[] | undefined, most: Int32Array): readonly boolean[] {
    const inTurns = serial?.slice() ?? [];
    for (const [replica, device] of this.deviceOf.entries()) if ((most[replica] as number) > 0) inTurns[device] = false;
    return inTurns;
  }

  /** Time of a stage's call outside the device of a replica. */
  overheadMs(replica: number, v: number): number {
    return this.#tables[replica * this.#calls.stages + v]?.overheadMs ?? 0;
  }

  /** Tokens that a call of a pool generates; NaN: the pool generates none. */
  outputTokens(p: number, v: number, call: number): number {
    const at = (this.firstReplica[p] as number) * this.#calls.stages + v;
    return this.#tables[at]?.batching === 'continuous' ? this.#tokensOut(at, call) : Number.NaN;
  }

  enqueue(pool: number, call: number, now: number): void {
    this.#queues.add(pool, call, now);
    this.tryStart(pool, now);
  }

  /** Gives a pool's waiting calls to its replicas with room: the calls in order, the nearest and fastest replica first. */
  tryStart(p: number, now: number): void {
    const pool = this.#pools[p] as SimulatedPool;
    if (pool.batching === 'continuous') this.#admit(p, now);
    else this.#startBatches(p, pool, now);
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
      const at = replica * this.#calls.stages + (this.#stageOfCall[call % this.#perRequest] as number);
      const table = this.#tables[at] as DynamicTable;
      const known = this.#columns[at]?.[(call / this.#perRequest) | 0] ?? Number.NaN;
      const whole = Number.isNaN(known) ? table.typical : known;
      const ms = quantileAt(table.call, size, whole * this.#reports.shareOf(call), draw);
      if (ms > longest) longest = ms;
      call = this.#queues.after(call);
    }
    return longest;
  }

  #tokensIn(at: number, call: number): number {
    const known = this.#columns[at]?.[(call / this.#perRequest) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as ContinuousTable).typicalIn : known;
  }

  #tokensOut(at: number, call: number): number {
    const known = this.#columnsOut[at]?.[(call / this.#perRequest) | 0] ?? Number.NaN;
    return Number.isNaN(known) ? (this.#tables[at] as ContinuousTable).typicalOut : known;
  }

  /** Admits waiting sequences in order while a replica has room for the first one's prompt. */
  #admit(p: number, now: number): void {
    while ((this.#queues.length[p] as number) > 0) {
      const call = this.#queues.first(p);
      const v = this.#stageOfCall[call % this.#perRequest] as number;
      const generated = this.#calls.generated[call] as number;
      const replica = this.#roomiest(p, call, v, generated, now);
      if (replica === NONE_FITS) {
        this.#queues.take(p, this.firstReplica[p] as number, 1, now, this.#times, this.#stageOfCall);
        this.#reports.oversized(call, now);
        continue;
      }
      if (replica < 0) return;
      const at = replica * this.#calls.stages + v;
      const table = this.#tables[at] as ContinuousTable;
      const promptTokens = this.#tokensIn(at, call) + generated;
      const draw = drawOf(this.#seed, call + (this.#calls.tries[call] as number) * ATTEMPT, DRAW.prompt);
      const promptMs = quantileAt(table.prefill, 1, promptTokens, draw);
      const more = Math.max(0, this.#tokensOut(at, call) - 1 - generated);
      this.#advance(replica, now);
      const every = this.#calls.every[v] as number;
      this.#sequences.join(replica, { call, promptMs, promptTokens, more, every, had: generated });
      this.#queues.take(p, replica, 1, now, this.#times, this.#stageOfCall, this.#sequences.count(replica));
      this.#plan(replica, now);
    }
  }

  /** The replica with the fewest sequences among those with room for a call; negative: none now, or none at all. */
  #roomiest(p: number, call: number, v: number, generated: number, now: number): number {
    let best = NONE_FITS;
    let fewest = Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (let replica = this.firstReplica[p] as number; replica < (this.firstReplica[p + 1] as number); replica += 1) {
      const at = replica * this.#calls.stages + v;
      const tokensIn = this.#tokensIn(at, call);
      const { mostTokens } = this.#replicas[replica] as SimulatedReplica;
      if (tokensIn + this.#tokensOut(at, call) > mostTokens) continue;
      if (best === NONE_FITS) best = NONE_NOW;
      const count = this.#sequences.count(replica);
      if (count > fewest || count >= (this.#pools[p] as SimulatedPool).maxBatch) continue;
      this.#advance(replica, now);
      if (!this.#sequences.hasRoom(replica, tokensIn + generated + WATERMARK * mostTokens)) continue;
      const travel = this.#reports.travelMs(replica, call, now);
      if (count === fewest && travel >= least) continue;
      best = replica;
      fewest = count;
      least = travel;
      if (count === 0 && travel === 0) break;
    }
    return best;
  }

  #advance(replica: number, now: number): void {
    this.#sequences.advance(replica, this.devices.read(this.deviceOf[replica] as number, now) / this.#slowdown);
  }

  #plan(replica: number, now: number): void {
    this.#planned[replica] = this.#sequences.next(replica);
    this.devices.work(replica, now, this.#sequences.left(replica) * this.#slowdown);
  }

  /** Ends a replica's work that is due; each of its calls is reported before the next work starts. */
  endWork(replica: number, now: number): void {
    const p = this.#poolOf[replica] as number;
    if (this.#pools[p]?.batching === 'continuous') this.#endSequences(p, replica, now);
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
    } else if (planned === NEXT.end && this.#sequences.hasEnded(replica)) ended = this.#sequences.leave(replica);
    else if (planned === NEXT.end) {
      makes = this.#sequences.passPiece(replica);
      tokens = this.#sequences.generated;
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

const NONE_NOW = -1;
const NONE_FITS = -2;
