import {
  numbered,
  percentile,
  repeatedLoad,
  type SimulatedPlacement,
  type SimulatedPool,
  type SimulationOptions,
  type SimulationResult,
  Simulator,
  sortedNumbers,
} from '../simulator/index.js';
import { isInTime, untilLate } from './in-time.js';
import type { Problem } from './problem.js';

/** Part of the arrivals by which they may exceed what is served in the same time: less cannot be told apart. */
const GROWTH = 0.01;

/**
 * Load of the busiest device below which no queue is expected to grow. Times of full batches of one stage are known; what an LLM loses to full caches
 * and prompts that come together is not, and nothing of batches in which short calls of a stage wait for long ones of another.
 */
const CALM = { batches: 0.85, llm: 0.5, mixed: 0 };

/** How long the repeated load is: so many runs, and so many times an average run. */
const LASTS = { runs: 16_000, latencies: 8 };
/** How often the load may be repeated. Multiples of four: its last two quarters are compared. */
const REPEATS = [4, 8, 16, 32];
/** Most calls of a repeated load; each takes some fifty bytes. */
const MOST_CALLS = 6_000_000;

/** What a simulation of the load as it is says of a placement. */
export interface Shown {
  /** How much longer the last runs take than quick ones: what waits when the load ends, in milliseconds. */
  readonly behindMs: number;
  /** Average latency of a run. */
  readonly meanMs: number;
}

/** Part of the runs that are the last ones, and at which percentile a run is quick. */
const LAST = 0.05;
const QUICK = 0.1;

export function shownBy({ latencyMs }: SimulationResult): Shown {
  const last = meanOf(latencyMs.subarray(Math.floor((1 - LAST) * latencyMs.length)));
  const quick = percentile(sortedNumbers(latencyMs), QUICK);
  return { behindMs: last - quick, meanMs: meanOf(latencyMs) };
}

interface Lasted {
  /** The load arrives this many times as fast. */
  readonly speed: number;
  /** Load of the busiest device at this speed, as `balance` gives it. */
  readonly peak: number;
  /** Of the objective's time. */
  readonly share?: number;
  readonly options: Pick<SimulationOptions, 'seed' | 'slowdown' | 'expired'>;
}

/**
 * Whether a placement that serves the load in time also does so if it goes on like that. A load that is short beside the objective ends before its
 * queues are long: its runs may all be in time although twice as many arrive as are served.
 *
 * A load is sustained if hardly anything of it waits when it ends, or if it leaves the devices room. Any other is
 * repeated until it lasts several times as long as a run, and must still meet the objective, with runs that do not take ever longer.
 */
export class Lasting {
  readonly #problem: Problem;
  readonly #spanMs: number;
  /** The longest time between two runs. */
  readonly #idleMs: number;
  /** Calls of the load. */
  readonly #calls: number;
  readonly #repeated = new Map<string, { readonly problem: Problem; readonly simulator: Simulator }>();

  constructor(problem: Problem) {
    this.#problem = problem;
    const { stages, load } = problem;
    const { timesMs } = load;
    this.#calls = timesMs.length * numbered(stages).perRequest;
    this.#spanMs = (timesMs[timesMs.length - 1] ?? 0) - (timesMs[0] ?? 0);
    this.#idleMs = timesMs.reduce((most, at, run) => Math.max(most, at - (timesMs[run - 1] ?? at)), 0);
  }

  sustains(placement: SimulatedPlacement, shown: Shown, { speed, peak, share = 1, options }: Lasted): boolean {
    const arrivesMs = this.#spanMs / speed;
    if (!(arrivesMs > 0) || shown.behindMs <= GROWTH * arrivesMs) return true;

    if (peak < CALM[this.#kindOf(placement)]) return true;
    const times = this.#timesFor(arrivesMs, shown.meanMs);
    if (times === undefined) return true;
    const isSteady = (result: SimulationResult) =>
      !result.gaveUp && growthOf(result, (times * arrivesMs) / 4) <= GROWTH;
    // Bursts at both ends of the load are not one burst: the longest time without a run is between them.
    const { problem, simulator } = this.#repeatedBy(times, this.#idleMs);
    const result = simulator.run(placement, { ...untilLate(problem, share), speed, ...options });
    if (!isSteady(result) || !isInTime(problem, result, speed, share)) return false;
    if (this.#idleMs <= GROWTH * this.#spanMs) return true;
    // With so long a pause fewer runs arrive: at the load's own rate no queue may grow either.
    return isSteady(this.#repeatedBy(times).simulator.run(placement, { speed, ...options }));
  }

  #kindOf({ pools }: SimulatedPlacement): keyof typeof CALM {
    const { stages } = this.#problem;
    const isMixed = ({ batching, maxBatch }: SimulatedPool, p: number) =>
      batching === 'dynamic' && maxBatch > 1 && stages.filter(({ pool }) => pool === p).length > 1;
    if (pools.some(isMixed)) return 'mixed';
    return pools.some(({ batching }) => batching === 'continuous') ? 'llm' : 'batches';
  }

  /** Undefined: too many calls to be simulated. */
  #timesFor(arrivesMs: number, meanMs: number): number | undefined {
    const count = this.#problem.load.timesMs.length;
    const able = REPEATS.filter((times) => times * this.#calls <= MOST_CALLS);
    const isEnough = (times: number) => times * count >= LASTS.runs && times * arrivesMs >= LASTS.latencies * meanMs;
    return able.find(isEnough) ?? able.at(-1);
  }

  #repeatedBy(times: number, idleMs?: number) {
    const key = `${times} ${idleMs}`;
    const known = this.#repeated.get(key);
    if (known) return known;
    const { stages, simulated, targets } = this.#problem;
    const problem = { ...this.#problem, load: repeatedLoad(this.#problem.load, times, idleMs) };
    const observed = targets.map((target) => target.observed);
    const made = { problem, simulator: new Simulator(stages, simulated, problem.load, observed) };
    // Each takes up to some hundred megabytes: only the latest ones are kept.
    if (this.#repeated.size >= 2) this.#repeated.clear();
    this.#repeated.set(key, made);
    return made;
  }
}

/** Average of the latencies of runs that ended; 0: none has. */
function meanOf(latencyMs: Float64Array): number {
  const ended = latencyMs.filter(Number.isFinite);
  return ended.reduce((sum, ms) => sum + ms, 0) / Math.max(1, ended.length);
}

/** How much later runs of the last quarter end than those of the third, by time between their arrivals: both have the same runs. */
function growthOf({ latencyMs }: SimulationResult, quarterMs: number): number {
  const quarter = latencyMs.length / 4;
  const [third, last] = [2, 3].map((from) => meanOf(latencyMs.subarray(from * quarter, (from + 1) * quarter)));
  return ((last ?? 0) - (third ?? 0)) / quarterMs;
}
