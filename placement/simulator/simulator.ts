import type { Calls } from './calls.js';
import { failsAfter, isCached, isTaken } from './draws.js';
import { EVENT, Events } from './events.js';
import { callsIn } from './fan-out.js';
import { Handover } from './handover.js';
import type { Load } from './load.js';
import { type Numbering, numbered } from './numbering.js';
import { Observations } from './observations.js';
import { Pieces } from './pieces.js';
import { Queues } from './queues.js';
import { Servers } from './servers.js';
import { StageTimes } from './stage-times.js';
import type {
  Observed,
  SimulatedDevices,
  SimulatedPlacement,
  SimulatedStage,
  SimulationOptions,
  SimulationResult,
} from './system.js';
import { Tally } from './tally.js';
import { Travel } from './travel.js';

/** Events between two looks at the clock. */
const CHECKED_EVERY = 4096;

/**
 * A discrete-event model of pipelines on pools: arrivals, queues, batches, shared devices, transfers, caches, retries.
 * The same load, placement and seed give bit-identical results. One object simulates many placements of one load; events
 * allocate nothing. `numbered` says how calls are numbered.
 */
export class Simulator {
  readonly #load: Load;
  readonly #stages: readonly SimulatedStage[];
  readonly #devices: SimulatedDevices;
  readonly #events = new Events();
  readonly #count: number;
  /** Arrival times at this simulation's speed. */
  readonly #timesMs: Float64Array;
  #speed = 1;
  readonly #numbering: Numbering;
  readonly #perRequest: number;
  readonly #stageOfCall: Int32Array;
  readonly #pieces: Pieces;
  readonly #observations: Observations;
  readonly #travel: Travel;
  // By request and stage.
  readonly #waitsFor: Int32Array;
  readonly #open: Int32Array;
  readonly #begunAt: Float64Array;
  // By call.
  readonly #tries: Uint8Array;
  readonly #generated: Float64Array;
  // By request.
  readonly #left: Int32Array;
  readonly #latency: Float64Array;
  /** Requests of the last simulation: what is stored of the others is as at first. */
  #used = 0;
  // Of one simulation.
  readonly #calls: Calls;
  #servers: Servers;
  #seed = 1;
  readonly #tally = new Tally();

  /** `observed`: figures of stages to record for each run. */
  constructor(
    stages: readonly SimulatedStage[],
    devices: SimulatedDevices,
    load: Load,
    observed: readonly Observed[] = [],
  ) {
    this.#load = load;
    this.#timesMs = load.timesMs.slice();
    this.#stages = stages;
    this.#devices = devices;
    const count = load.timesMs.length;
    this.#count = count;
    this.#numbering = numbered(stages);
    const { perRequest: calls, stageOfCall } = this.#numbering;
    this.#perRequest = calls;
    this.#stageOfCall = stageOfCall;
    this.#pieces = new Pieces(stages, count);
    this.#observations = new Observations(observed, stages.length, count);
    const items = count * stages.length;
    this.#waitsFor = new Int32Array(items);
    this.#open = new Int32Array(items);
    this.#travel = new Travel(stages, devices, count);
    this.#begunAt = new Float64Array(observed.length > 0 ? items : 0);
    this.#tries = new Uint8Array(count * calls);
    this.#generated = new Float64Array(count * calls);
    this.#left = new Int32Array(count);
    this.#latency = new Float64Array(count).fill(Number.NaN);
    this.#calls = {
      load,
      stages: stages.length,
      stageOf: this.#stageOfCall,
      tries: this.#tries,
      generated: this.#generated,
      every: this.#pieces.every,
      queues: new Queues(count * calls),
      times: new StageTimes(stages, count),
      handover: new Handover(stages, devices, count * calls),
      events: this.#events,
    };
    this.#servers = this.#serversOf({ pools: [] }, 1, 1);
  }

  run(placement: SimulatedPlacement, options: SimulationOptions = {}): SimulationResult {
    const {
      seed = 1,
      giveUp,
      limits,
      admit = Number.POSITIVE_INFINITY,
      slowdown = 1,
      speed = 1,
      detailed = false,
      expired,
    } = options;
    this.#reset(placement, seed, slowdown);
    // All of them, if it ends with an error.
    this.#used = this.#count;
    this.#observations.reset(limits);
    const { devices } = this.#servers;
    if (speed !== this.#speed) this.#setSpeed(speed);
    const timesMs = this.#timesMs;
    const events = this.#events;
    let arrived = 0;
    let gaveUp = false;
    for (let turn = 1; ; turn += 1) {
      gaveUp = this.#observations.hopeless || (turn % CHECKED_EVERY === 0 && expired?.() === true);
      if (gaveUp) break;
      const arrival = arrived < this.#count ? (timesMs[arrived] as number) : Number.POSITIVE_INFINITY;
      const now = Math.min(arrival, events.next);
      if (now === Number.POSITIVE_INFINITY) break;
      gaveUp = giveUp !== undefined && this.#tally.isHopeless(giveUp, arrived, now, timesMs, this.#latency, this.#left);
      if (gaveUp) break;
      if (arrival <= events.next) {
        this.#arrive(arrived, now, admit);
        arrived += 1;
      } else this.#happen(now);
    }
    this.#used = arrived;
    // A run that does not end, of a call that takes for ever, is later than any limit.
    if (!gaveUp)
      for (let i = 0; i < this.#count; i += 1)
        if ((this.#left[i] as number) > 0) this.#latency[i] = Number.POSITIVE_INFINITY;
    const { completed, failed, refused, oversized, lastEnd } = this.#tally;
    const spanMs = Math.max(lastEnd - (timesMs[0] ?? 0), 1e-9);
    for (const [d] of devices.busyMs.entries()) devices.read(d, lastEnd);
    return {
      latencyMs: this.#latency,
      observed: this.#observations.values,
      completed,
      failed,
      refused,
      oversized,
      waiting: this.#calls.queues.longest,
      preemptions: this.#servers.preemptions,
      gaveUp,
      spanMs,
      utilisation: devices.busyMs.map((busy) => busy / spanMs),
      stages: this.#calls.times.results(spanMs, detailed),
      ...(this.#calls.handover.used && { handovers: this.#calls.handover.results() }),
    };
  }

  #setSpeed(speed: number): void {
    this.#speed = speed;
    const { timesMs } = this.#load;
    for (let i = 0; i < timesMs.length; i += 1) this.#timesMs[i] = (timesMs[i] as number) / speed;
  }

  #reset(placement: SimulatedPlacement, seed: number, slowdown: number): void {
    this.#events.clear();
    this.#servers = this.#serversOf(placement, seed, slowdown);
    const calls = this.#used * this.#perRequest;
    this.#calls.times.reset(calls);
    this.#pieces.reset();
    this.#tries.fill(0, 0, calls);
    this.#generated.fill(0, 0, calls);
    this.#latency.fill(Number.NaN, 0, this.#used);
    this.#left.fill(0, 0, this.#used);
    this.#seed = seed;
    this.#tally.reset(this.#timesMs[0] ?? 0);
  }

  #serversOf(placement: SimulatedPlacement, seed: number, slowdown: number): Servers {
    return new Servers(
      placement,
      this.#devices,
      this.#calls,
      { seed, slowdown },
      {
        ended: (replica, call, now) => this.#endOn(replica, call, now),
        generated: (replica, call, tokens, now) => this.#generates(replica, call, tokens, now),
        shareOf: (call) => this.#shareOf(call),
        oversized: (call, now) => this.#outgrow((call / this.#perRequest) | 0, now),
        travelMs: (replica, call, now) => this.#travelMs(replica, call, now),
      },
    );
  }

  #arrive(request: number, now: number, admit: number): void {
    if (this.#tally.inFlight >= admit) {
      this.#tally.refused += 1;
      return;
    }
    this.#tally.inFlight += 1;
    const pipeline = this.#load.pipelines[request] as number;
    this.#left[request] = (this.#numbering.stagesOf[pipeline] as readonly number[]).length;
    const first = request * this.#stages.length;
    for (const [v, stage] of this.#stages.entries()) {
      this.#waitsFor[first + v] = stage.after.length;
      this.#open[first + v] = 0;
    }
    for (const v of this.#numbering.firstStages[pipeline] ?? []) this.#startStage(request, v, now);
  }

  #happen(now: number): void {
    const events = this.#events;
    events.pop();
    const { kind, subject, stamp } = events;
    if (kind === EVENT.device) {
      const { devices } = this.#servers;
      if (!devices.isCurrent(subject, stamp)) return;
      devices.read(subject, now);
      for (let replica = devices.ended(subject); replica >= 0; replica = devices.ended(subject)) {
        this.#servers.endWork(replica, now);
      }
    } else if (kind === EVENT.timer) this.#servers.tryStart(subject, now);
    else if (kind === EVENT.ready) this.#enqueue(subject, now);
    else if (kind === EVENT.delivered) this.#endCall(subject, now, stamp);
    else if (kind === EVENT.offered) this.#servers.offer(subject, now);
    else if (kind === EVENT.pulled) this.#servers.endPull(subject, stamp, now);
    else this.#endCall(subject, now, -1);
  }

  #startStage(request: number, v: number, now: number): void {
    const stage = this.#stages[v] as SimulatedStage;
    const item = request * this.#stages.length + v;
    if (!isTaken(stage, this.#seed, item)) {
      this.#endStage(request, v, now, -1);
      return;
    }
    const calls = callsIn(stage, this.#load, this.#seed, request);
    if (calls === 0) {
      this.#endStage(request, v, now, -1);
      return;
    }
    this.#open[item] = calls;
    if (this.#observations.has(v)) this.#begunAt[item] = now;
    if (stage.streamFrom !== undefined) this.#pieces.begin(item);
    const first = request * this.#perRequest + (this.#numbering.firstCall[v] as number);
    for (let call = first; call < first + calls; call += 1) {
      if (isCached(stage, this.#seed, call)) {
        if (stage.cacheHitMs > 0) this.#events.push(now + stage.cacheHitMs, EVENT.answered, call);
        else this.#endCall(call, now, -1);
      } else this.#call(call, now, 0);
    }
  }

  /** Puts a call into the queue of its pool, after what passes outside the servers. */
  #call(call: number, now: number, waitMs: number): void {
    const { overheadMs } = this.#stages[this.#stageOfCall[call % this.#perRequest] as number] as SimulatedStage;
    if (waitMs + overheadMs > 0) this.#events.push(now + waitMs + overheadMs, EVENT.ready, call);
    else this.#enqueue(call, now);
  }

  #enqueue(call: number, now: number): void {
    const { pool } = this.#stages[this.#stageOfCall[call % this.#perRequest] as number] as SimulatedStage;
    this.#servers.enqueue(pool, call, now);
  }

  #travelMs(replica: number, call: number, now: number): number {
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    // The inputs went to the replica that processed the prompt.
    if (this.#servers.isHandedTo(replica)) return 0;
    return this.#travel.msTo(this.#servers.deviceOf[replica] as number, (call / this.#perRequest) | 0, v, now);
  }

  /** Ends a call that ran on a replica: with success, or with a failure that is retried or ends the run. */
  #endOn(replica: number, call: number, now: number): void {
    const device = this.#servers.deviceOf[replica] as number;
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    this.#calls.times.served(call, v, now);
    const stage = this.#stages[v] as SimulatedStage;
    const tries = this.#tries[call] as number;
    if (failsAfter(stage, this.#seed, call, tries)) {
      const request = (call / this.#perRequest) | 0;
      this.#tries[call] = tries + 1;
      this.#generated[call] = 0;
      if (tries + 1 < stage.attempts) this.#call(call, now, stage.backoffMs * 2 ** tries);
      else this.#fail(request, now);
      return;
    }
    // The way of its inputs to the replica and the time outside the device: they occupy neither queue nor device.
    const begun = this.#calls.times.startOf(call);
    const delay = this.#travelMs(replica, call, begun) + this.#servers.overheadMs(replica, v);
    if (this.#observations.has(v)) this.#observeTokens(call, v, now);
    if (delay > 0) this.#events.push(now + delay, EVENT.delivered, call, device);
    else this.#endCall(call, now, device);
  }

  #endCall(call: number, now: number, device: number): void {
    const request = (call / this.#perRequest) | 0;
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    const item = request * this.#stages.length + v;
    const observed = this.#observations.has(v) && (this.#left[request] as number) > 0;
    if (observed) this.#observations.record(v, 'first', request, now - (this.#timesMs[request] as number));
    // Of a stream's reader, unless a cache had the whole answer, only a piece has ended.
    if (this.#stages[v]?.streamFrom !== undefined && device >= 0 && !this.#pieces.end(item)) {
      this.#readPiece(request, v, now);
      return;
    }
    const open = (this.#open[item] as number) - 1;
    this.#open[item] = open;
    if (open !== 0) return;
    if (observed) this.#observations.record(v, 'whole', request, now - (this.#begunAt[item] as number));
    this.#endStage(request, v, now, device);
  }

  /** A sequence has its first token, or another piece of its stream. */
  #generates(replica: number, call: number, tokens: number, now: number): void {
    const request = (call / this.#perRequest) | 0;
    if ((this.#left[request] as number) <= 0) return;
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    if (this.#observations.has(v)) {
      const begun = this.#calls.times.startOf(call);
      const delay = this.#travelMs(replica, call, begun) + this.#servers.overheadMs(replica, v);
      this.#observations.record(v, 'first', request, now + delay - (this.#timesMs[request] as number));
    }
    for (const reader of this.#pieces.readers[v] as readonly number[]) this.#offer(request, v, reader, tokens, now);
  }

  /** Time for each token after the first of a sequence that has ended. */
  #observeTokens(call: number, v: number, now: number): void {
    const { pool } = this.#stages[v] as SimulatedStage;
    const more = this.#servers.outputTokens(pool, v, call) - 1;
    if (!(more > 0)) return;
    const request = (call / this.#perRequest) | 0;
    this.#observations.record(v, 'token', request, (now - this.#calls.times.firstTokenOf(call)) / more);
  }

  /** A reader of a stage's stream can read what so many tokens hold; infinite: all of it. */
  #offer(request: number, from: number, reader: number, tokens: number, now: number): void {
    const first = request * this.#stages.length;
    const item = first + reader;
    if (!this.#pieces.isCounted(item)) {
      const { pool } = this.#stages[from] as SimulatedStage;
      const call = request * this.#perRequest + (this.#numbering.firstCall[from] as number);
      this.#pieces.count(item, reader, this.#servers.outputTokens(pool, from, call));
    }
    if (this.#pieces.offer(item, reader, tokens)) this.#release(request, reader, now);
    else if ((this.#open[item] as number) > 0) this.#readPiece(request, reader, now);
  }

  #readPiece(request: number, v: number, now: number): void {
    if ((this.#left[request] as number) <= 0) return;
    if (!this.#pieces.begin(request * this.#stages.length + v)) return;
    // The stage's own overhead was paid with the first piece.
    this.#enqueue(request * this.#perRequest + (this.#numbering.firstCall[v] as number), now);
  }

  #shareOf(call: number): number {
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    if (this.#stages[v]?.streamFrom === undefined) return 1;
    return this.#pieces.share(((call / this.#perRequest) | 0) * this.#stages.length + v, v);
  }

  /** A stage waits for one input less. */
  #release(request: number, v: number, now: number): void {
    const item = request * this.#stages.length + v;
    const waits = (this.#waitsFor[item] as number) - 1;
    this.#waitsFor[item] = waits;
    if (waits === 0) this.#startStage(request, v, now);
  }

  #endStage(request: number, v: number, now: number, device: number): void {
    const left = (this.#left[request] as number) - 1;
    // Below: the run has failed, and calls in progress end without effect.
    if (left < 0) return;
    this.#travel.ended(request, v, now, device);
    this.#left[request] = left;
    if (left === 0) {
      this.#latency[request] = now - (this.#timesMs[request] as number);
      this.#tally.end('completed', now);
      return;
    }
    const successors = this.#numbering.successors[v] as Int32Array;
    for (let i = 0; i < successors.length; i += 1) {
      const next = successors[i] as number;
      if (this.#stages[next]?.streamFrom === v) this.#offer(request, v, next, Number.POSITIVE_INFINITY, now);
      else this.#release(request, next, now);
    }
  }

  /** Ends a run with a call that fits no replica. */
  #outgrow(request: number, now: number): void {
    if ((this.#left[request] as number) <= 0) return;
    this.#left[request] = 0;
    this.#latency[request] = Number.POSITIVE_INFINITY;
    const pipeline = this.#load.pipelines[request] as number;
    this.#observations.outgrown(this.#numbering.stagesOf[pipeline] as readonly number[], request);
    this.#tally.end('oversized', now);
  }

  #fail(request: number, now: number): void {
    if ((this.#left[request] as number) <= 0) return;
    this.#left[request] = 0;
    this.#tally.end('failed', now);
  }
}
