import { Devices } from './devices.js';
import { EVENT, type Events } from './events.js';
import type { Load } from './load.js';
import type { Queues } from './queues.js';
import { DRAW, drawOf } from './random.js';
import { Sequences } from './sequences.js';
import type { StageTimes } from './stage-times.js';
import type { SimulatedPlacement, SimulatedPool, SimulatedReplica } from './system.js';
import { type ContinuousTable, type DynamicTable, quantileAt, type Table } from './table.js';

/** State shared with the simulator: numbering of calls, and their queues. */
export interface Calls {
  readonly load: Load;
  readonly stages: number;
  /** Stage of each call of a request. */
  readonly stageOf: Int32Array;
  /** Failed attempts, by call. */
  readonly tries: Uint8Array;
  readonly queues: Queues;
  readonly times: StageTimes;
  readonly events: Events;
}

const NO_STEPS = new Float64Array(0);
/** Separates the draws of a call's attempts: above every call's number. */
export const ATTEMPT = 0x1000000;

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
  /** By replica: step times of sequences. */
  readonly #stepMs: readonly Float64Array[];
  readonly #queues: Queues;
  readonly #sequences: Sequences;
  readonly #events: Events;
  readonly #times: StageTimes;
  readonly #stageOfCall: Int32Array;
  readonly #perRequest: number;
  readonly #seed: number;
  readonly #slowdown: number;
  readonly #ended: (replica: number, call: number, now: number) => void;
  readonly devices: Devices;
  /** By pool: its first replica; after the last pool the total number. */
  readonly firstReplica: Int32Array;
  /** By replica: outstanding calls, and its device. */
  readonly outstanding: Int32Array;
  readonly deviceOf: Int32Array;

  constructor(
    { pools }: SimulatedPlacement,
    concurrency: readonly number[],
    calls: Calls,
    luck: { readonly seed: number; readonly slowdown: number },
    ended: (replica: number, call: number, now: number) => void,
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
    this.#ended = ended;
    const replicas = pools.flatMap((pool) => pool.replicas);
    this.#replicas = replicas;
    this.#poolOf = Int32Array.from(pools.flatMap((pool, p) => pool.replicas.map(() => p)));
    this.firstReplica = new Int32Array(pools.length + 1);
    for (const [p, pool] of pools.entries()) {
      this.firstReplica[p + 1] = (this.firstReplica[p] as number) + pool.replicas.length;
    }
    this.outstanding = new Int32Array(replicas.length);
    this.deviceOf = Int32Array.from(replicas, ({ device }) => device);
    this.devices = new Devices(concurrency, this.deviceOf, calls.events);
    this.#queues.reset(replicas.length);
    const most = pools.flatMap((pool) => pool.replicas.map(() => (pool.batching === 'continuous' ? pool.maxBatch : 0)));
    this.#sequences = new Sequences(Int32Array.from(most));
    const column = (name: string | undefined) => (name === undefined ? undefined : calls.load.sizes[name]);
    this.#tables = replicas.flatMap(({ tables }) => Array.from({ length: calls.stages }, (_, v) => tables[v]));
    this.#columns = this.#tables.map((table) => column(table?.batching === 'dynamic' ? table.column : table?.columnIn));
    this.#columnsOut = this.#tables.map((table) =>
      table?.batching === 'continuous' ? column(table.columnOut) : undefined,
    );
    this.#stepMs = replicas.map(({ tables }) => {
      const table = tables.find((each) => each?.batching === 'continuous');
      return table?.batching === 'continuous' ? table.stepMs : NO_STEPS;
    });
  }

  /** Time of a stage's call outside the device of a replica. */
  overheadMs(replica: number, v: number): number {
    return this.#tables[replica * this.#calls.stages + v]?.overheadMs ?? 0;
  }

  enqueue(replica: number, call: number, now: number): void {
    this.#queues.add(replica, call, now);
    this.tryStart(replica, now);
  }

  tryStart(replica: number, now: number): void {
    const pool = this.#pools[this.#poolOf[replica] as number] as SimulatedPool;
    if (pool.batching === 'continuous') this.#admit(replica, now);
    else this.#startBatch(replica, pool, now);
  }

  /**
   * Forms a batch as Triton does: the largest preferred size that is waiting, or all waiting calls once the oldest has
   * waited long enough.
   */
  #startBatch(replica: number, { maxBatch, preferred, maxQueueDelayMs }: SimulatedPool, now: number): void {
    const waiting = this.#queues.length[replica] as number;
    if (waiting === 0 || this.devices.isRunning(replica)) return;
    let size = waiting >= maxBatch ? maxBatch : 0;
    for (let i = preferred.length - 1; i >= 0; i -= 1) {
      const each = preferred[i] as number;
      if (each <= waiting && each <= maxBatch) {
        size = each;
        break;
      }
    }
    if (size === 0) {
      const until = this.#queues.oldest(replica) + maxQueueDelayMs;
      if (until > now) {
        if (this.#queues.remind(replica, until)) this.#events.push(until, EVENT.timer, replica);
        return;
      }
      size = waiting;
    }
    this.devices.work(replica, now, this.#batchMs(replica, size) * this.#slowdown);
    this.#queues.take(replica, size, now, this.#times, this.#stageOfCall);
  }

  /** A batch takes as long as its largest member would in a batch of this size. */
  #batchMs(replica: number, size: number): number {
    let call = this.#queues.first(replica);
    const draw = drawOf(this.#seed, call + (this.#calls.tries[call] as number) * ATTEMPT, DRAW.service);
    let longest = 0;
    for (let i = 0; i < size; i += 1) {
      const at = replica * this.#calls.stages + (this.#stageOfCall[call % this.#perRequest] as number);
      const table = this.#tables[at] as DynamicTable;
      const known = this.#columns[at]?.[(call / this.#perRequest) | 0] ?? Number.NaN;
      const ms = quantileAt(table.call, size, Number.isNaN(known) ? table.typical : known, draw);
      if (ms > longest) longest = ms;
      call = this.#queues.after(call);
    }
    return longest;
  }

  /** Admits waiting sequences while there is room for them and their tokens. */
  #admit(replica: number, now: number): void {
    const { mostTokens } = this.#replicas[replica] as SimulatedReplica;
    const device = this.deviceOf[replica] as number;
    const stepMs = this.#stepMs[replica] as Float64Array;
    const sequences = this.#sequences;
    let joined = false;
    while ((this.#queues.length[replica] as number) > 0) {
      const call = this.#queues.first(replica);
      const at = replica * this.#calls.stages + (this.#stageOfCall[call % this.#perRequest] as number);
      const table = this.#tables[at] as ContinuousTable;
      const request = (call / this.#perRequest) | 0;
      const read = this.#columns[at]?.[request] ?? Number.NaN;
      const written = this.#columnsOut[at]?.[request] ?? Number.NaN;
      const tokensIn = Number.isNaN(read) ? table.typicalIn : read;
      const tokensOut = Number.isNaN(written) ? table.typicalOut : written;
      if (!sequences.hasRoom(replica, tokensIn + tokensOut, mostTokens)) break;
      if (!joined) sequences.advance(replica, this.devices.read(device, now), stepMs);
      joined = true;
      const draw = drawOf(this.#seed, call + (this.#calls.tries[call] as number) * ATTEMPT, DRAW.prompt);
      const promptMs = quantileAt(table.prefill, 1, tokensIn, draw);
      sequences.join(replica, call, promptMs, Math.max(0, tokensOut - 1), tokensIn + tokensOut);
      this.#queues.take(replica, 1, now, this.#times, this.#stageOfCall, sequences.count[replica]);
    }
    if (joined) this.#planSequences(replica, now);
  }

  #planSequences(replica: number, now: number): void {
    const stepMs = this.#stepMs[replica] as Float64Array;
    this.devices.work(replica, now, this.#sequences.left(replica, stepMs) * this.#slowdown);
  }

  /** Ends a replica's work that is due; each of its calls is reported before the next work starts. */
  endWork(replica: number, now: number): void {
    const device = this.deviceOf[replica] as number;
    if (this.#pools[this.#poolOf[replica] as number]?.batching === 'continuous') {
      const stepMs = this.#stepMs[replica] as Float64Array;
      this.#sequences.advance(replica, this.devices.read(device, now), stepMs);
      const call = this.#sequences.leave(replica);
      this.#planSequences(replica, now);
      this.#ended(replica, call, now);
    } else {
      let call = this.#queues.taken(replica);
      for (let i = this.#queues.batch[replica] as number; i > 0; i -= 1) {
        const next = this.#queues.after(call);
        this.#ended(replica, call, now);
        call = next;
      }
      // Only now, so that follow-up calls on the same replica form a batch together.
      this.devices.work(replica, now, Number.POSITIVE_INFINITY);
    }
    this.tryStart(replica, now);
  }
}
