import { EVENT, Events } from './events.js';
import type { Load } from './load.js';
import { Queues } from './queues.js';
import { DRAW, drawOf } from './random.js';
import { ATTEMPT, type Calls, Servers } from './servers.js';
import { StageTimes } from './stage-times.js';
import type {
  SimulatedDevices,
  SimulatedPlacement,
  SimulatedStage,
  SimulationOptions,
  SimulationResult,
} from './system.js';

/** Events between two looks at the clock. */
const CHECKED_EVERY = 4096;

/**
 * A discrete-event model of pipelines on pools: arrivals, queues, batches, shared devices, transfers, caches, retries.
 * The same load, placement and seed give bit-identical results. One object simulates many placements of one load; events
 * allocate nothing.
 *
 * Numbering of calls: request x calls per request + the call's index in it.
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
  /** Calls of a request, the stage of each, and the first index of each stage. */
  readonly #perRequest: number;
  readonly #stageOfCall: Int32Array;
  readonly #firstCall: Int32Array;
  readonly #successors: readonly Int32Array[];
  readonly #firstStages: readonly Int32Array[];
  readonly #stagesOf: Int32Array;
  // By request and stage.
  readonly #waitsFor: Int32Array;
  readonly #open: Int32Array;
  readonly #endedAt: Float64Array;
  readonly #endedOn: Int32Array;
  // By call.
  readonly #tries: Uint8Array;
  readonly #generated: Float64Array;
  // By request.
  readonly #left: Int32Array;
  readonly #latency: Float64Array;
  // Of one simulation.
  readonly #calls: Calls;
  #servers: Servers;
  #seed = 1;
  #inFlight = 0;
  #completed = 0;
  #failed = 0;
  #refused = 0;
  #oversized = 0;
  #lastEnd = 0;

  constructor(stages: readonly SimulatedStage[], devices: SimulatedDevices, load: Load) {
    this.#load = load;
    this.#timesMs = load.timesMs.slice();
    this.#stages = stages;
    this.#devices = devices;
    const count = load.timesMs.length;
    this.#count = count;
    this.#firstCall = new Int32Array(stages.length);
    let calls = 0;
    for (const [v, stage] of stages.entries()) {
      this.#firstCall[v] = calls;
      calls += stage.calls;
    }
    this.#perRequest = calls;
    this.#stageOfCall = Int32Array.from(stages.flatMap((stage, v) => new Array<number>(stage.calls).fill(v)));
    this.#successors = stages.map((_, v) =>
      Int32Array.from(stages.flatMap((stage, s) => (stage.after.includes(v) ? [s] : []))),
    );
    const pipelines = 1 + Math.max(...stages.map(({ pipeline }) => pipeline));
    const own = Array.from({ length: pipelines }, (_, p) => stages.flatMap((s, v) => (s.pipeline === p ? [v] : [])));
    this.#firstStages = own.map((list) => Int32Array.from(list.filter((v) => stages[v]?.after.length === 0)));
    this.#stagesOf = Int32Array.from(own, (list) => list.length);
    const items = count * stages.length;
    this.#waitsFor = new Int32Array(items);
    this.#open = new Int32Array(items);
    this.#endedAt = new Float64Array(items);
    this.#endedOn = new Int32Array(items);
    this.#tries = new Uint8Array(count * calls);
    this.#generated = new Float64Array(count * calls);
    this.#left = new Int32Array(count);
    this.#latency = new Float64Array(count);
    this.#calls = {
      load,
      stages: stages.length,
      stageOf: this.#stageOfCall,
      tries: this.#tries,
      generated: this.#generated,
      queues: new Queues(count * calls),
      times: new StageTimes(stages, count),
      events: this.#events,
    };
    this.#servers = this.#serversOf({ pools: [] }, 1, 1);
  }

  run(placement: SimulatedPlacement, options: SimulationOptions = {}): SimulationResult {
    const {
      seed = 1,
      giveUp,
      admit = Number.POSITIVE_INFINITY,
      slowdown = 1,
      speed = 1,
      detailed = false,
      expired,
    } = options;
    this.#reset(placement, seed, slowdown);
    const { devices } = this.#servers;
    if (speed !== this.#speed) this.#setSpeed(speed);
    const timesMs = this.#timesMs;
    const events = this.#events;
    let arrived = 0;
    let due = 0;
    let late = 0;
    let gaveUp = false;
    for (let turn = 1; ; turn += 1) {
      if (expired && turn % CHECKED_EVERY === 0 && expired()) {
        gaveUp = true;
        break;
      }
      const arrival = arrived < this.#count ? (timesMs[arrived] as number) : Number.POSITIVE_INFINITY;
      const now = Math.min(arrival, events.next);
      if (now === Number.POSITIVE_INFINITY) break;
      if (giveUp) {
        while (due < arrived && (timesMs[due] as number) + giveUp.afterMs < now) {
          const took = this.#latency[due] as number;
          // NaN here means not ended, unless failed or refused; of those none remain.
          if (took > giveUp.afterMs || (Number.isNaN(took) && (this.#left[due] as number) > 0)) late += 1;
          due += 1;
        }
        if (late > giveUp.late) {
          gaveUp = true;
          break;
        }
      }
      if (arrival <= events.next) {
        this.#arrive(arrived, now, admit);
        arrived += 1;
      } else this.#happen(now);
    }
    const spanMs = Math.max(this.#lastEnd - (timesMs[0] ?? 0), 1e-9);
    for (const [d] of devices.busyMs.entries()) devices.read(d, this.#lastEnd);
    return {
      latencyMs: this.#latency,
      completed: this.#completed,
      failed: this.#failed,
      refused: this.#refused,
      oversized: this.#oversized,
      preemptions: this.#servers.preemptions,
      gaveUp,
      spanMs,
      utilisation: devices.busyMs.map((busy) => busy / spanMs),
      stages: this.#calls.times.results(spanMs, detailed),
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
    this.#calls.times.reset();
    this.#tries.fill(0);
    this.#generated.fill(0);
    this.#latency.fill(Number.NaN);
    this.#left.fill(0);
    this.#seed = seed;
    this.#inFlight = 0;
    this.#completed = 0;
    this.#failed = 0;
    this.#refused = 0;
    this.#oversized = 0;
    this.#lastEnd = this.#timesMs[0] ?? 0;
  }

  #serversOf(placement: SimulatedPlacement, seed: number, slowdown: number): Servers {
    return new Servers(
      placement,
      this.#devices,
      this.#calls,
      { seed, slowdown },
      {
        ended: (replica, call, now) => this.#endOn(replica, call, now),
        oversized: (call, now) => this.#outgrow((call / this.#perRequest) | 0, now),
        travelMs: (replica, call, now) => this.#travelMs(replica, call, now),
      },
    );
  }

  #arrive(request: number, now: number, admit: number): void {
    if (this.#inFlight >= admit) {
      this.#refused += 1;
      return;
    }
    this.#inFlight += 1;
    const pipeline = this.#load.pipelines[request] as number;
    this.#left[request] = this.#stagesOf[pipeline] as number;
    const first = request * this.#stages.length;
    for (const [v, stage] of this.#stages.entries()) this.#waitsFor[first + v] = stage.after.length;
    for (const v of this.#firstStages[pipeline] ?? []) this.#startStage(request, v, now);
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
    else this.#endCall(subject, now, -1);
  }

  #startStage(request: number, v: number, now: number): void {
    const stage = this.#stages[v] as SimulatedStage;
    if (stage.share < 1 && drawOf(this.#seed, request * this.#stages.length + v, DRAW.branch) > stage.share) {
      this.#endStage(request, v, now, -1);
      return;
    }
    this.#open[request * this.#stages.length + v] = stage.calls;
    const first = request * this.#perRequest + (this.#firstCall[v] as number);
    for (let call = first; call < first + stage.calls; call += 1) {
      if (stage.cacheHitRate > 0 && drawOf(this.#seed, call, DRAW.cache) <= stage.cacheHitRate) {
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

  /** Time until all inputs of a call have arrived at a replica. */
  #travelMs(replica: number, call: number, now: number): number {
    const { after } = this.#stages[this.#stageOfCall[call % this.#perRequest] as number] as SimulatedStage;
    const to = this.#servers.deviceOf[replica] as number;
    const first = ((call / this.#perRequest) | 0) * this.#stages.length;
    let there = now;
    for (let i = 0; i < after.length; i += 1) {
      const before = after[i] as number;
      const from = this.#endedOn[first + before] as number;
      if (from < 0 || from === to) continue;
      const bytes = this.#stages[before]?.outputBytes ?? 0;
      const at = (this.#endedAt[first + before] as number) + this.#devices.transferMs(from, to, bytes);
      if (at > there) there = at;
    }
    return there - now;
  }

  /** Ends a call that ran on a replica: with success, or with a failure that is retried or ends the run. */
  #endOn(replica: number, call: number, now: number): void {
    const device = this.#servers.deviceOf[replica] as number;
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    this.#calls.times.served(call, v, now);
    const { failureRate, attempts, backoffMs } = this.#stages[v] as SimulatedStage;
    const tries = this.#tries[call] as number;
    if (failureRate > 0 && drawOf(this.#seed, call + tries * ATTEMPT, DRAW.failure) <= failureRate) {
      const request = (call / this.#perRequest) | 0;
      this.#tries[call] = tries + 1;
      this.#generated[call] = 0;
      if (tries + 1 < attempts) this.#call(call, now, backoffMs * 2 ** tries);
      else this.#fail(request, now);
      return;
    }
    // The way of its inputs to the replica and the time outside the device: they occupy neither queue nor device.
    const begun = this.#calls.times.startOf(call);
    const delay = this.#travelMs(replica, call, begun) + this.#servers.overheadMs(replica, v);
    if (delay > 0) this.#events.push(now + delay, EVENT.delivered, call, device);
    else this.#endCall(call, now, device);
  }

  #endCall(call: number, now: number, device: number): void {
    const request = (call / this.#perRequest) | 0;
    const v = this.#stageOfCall[call % this.#perRequest] as number;
    const item = request * this.#stages.length + v;
    const open = (this.#open[item] as number) - 1;
    this.#open[item] = open;
    if (open === 0) this.#endStage(request, v, now, device);
  }

  #endStage(request: number, v: number, now: number, device: number): void {
    const left = (this.#left[request] as number) - 1;
    // Below: the run has failed, and calls in progress end without effect.
    if (left < 0) return;
    const first = request * this.#stages.length;
    this.#endedAt[first + v] = now;
    this.#endedOn[first + v] = device;
    this.#left[request] = left;
    if (left === 0) {
      this.#latency[request] = now - (this.#timesMs[request] as number);
      this.#completed += 1;
      this.#inFlight -= 1;
      if (now > this.#lastEnd) this.#lastEnd = now;
      return;
    }
    const successors = this.#successors[v] as Int32Array;
    for (let i = 0; i < successors.length; i += 1) {
      const next = successors[i] as number;
      const waits = (this.#waitsFor[first + next] as number) - 1;
      this.#waitsFor[first + next] = waits;
      if (waits === 0) this.#startStage(request, next, now);
    }
  }

  /** Ends a run with a call that fits no replica. */
  #outgrow(request: number, now: number): void {
    if ((this.#left[request] as number) <= 0) return;
    this.#left[request] = 0;
    this.#latency[request] = Number.POSITIVE_INFINITY;
    this.#oversized += 1;
    this.#inFlight -= 1;
    if (now > this.#lastEnd) this.#lastEnd = now;
  }

  #fail(request: number, now: number): void {
    if ((this.#left[request] as number) <= 0) return;
    this.#left[request] = 0;
    this.#failed += 1;
    this.#inFlight -= 1;
    if (now > this.#lastEnd) this.#lastEnd = now;
  }
}
