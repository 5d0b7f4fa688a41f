import {
  type SimulatedPlacement,
  type SimulationOptions,
  type SimulationResult,
  Simulator,
} from '../simulator/index.js';
import { type Attainment, attainmentOf } from './attainment.js';
import { type Candidate, configOf, isPossible, keyOf, simulatedPlacement } from './candidate.js';
import { budgetsOf, type Spent } from './error-budget.js';
import {
  hits,
  isInTime,
  type Latencies,
  latenciesByPipeline,
  latenciesOf,
  meets,
  type PipelineLatencies,
  untilLate,
} from './in-time.js';
import { KnownResults, keyButLimits, leastLimits } from './known-results.js';
import { Lasting, type Shown, shownBy } from './lasting.js';
import { demandedLosses, demandsLosses, type Loss } from './losses.js';
import type { Problem } from './problem.js';
import { balance } from './stability.js';
import { attained } from './targets.js';

export interface Trial {
  /** Speed of the load: it arrives this many times as fast. */
  readonly speed?: number;
  /** Factor on every call's time. */
  readonly slowdown?: number;
  readonly admit?: number;
  readonly detailed?: boolean;
  /** Another seed than the problem's. */
  readonly seed?: number;
}

/** Result of simulating a candidate to its end. */
export interface Seen extends Latencies {
  readonly holds: boolean;
  /** Of each pipeline, if the load is of several. */
  readonly pipelines: readonly PipelineLatencies[];
  /** By target of the problem: the value at its percentile. */
  readonly targets: readonly number[];
  readonly attainment: Attainment;
  /** By objective: what of its error budget is spent. */
  readonly budgets: readonly Spent[];
  readonly result: SimulationResult;
}

/** What a simulation of the load as it is says. */
interface Outcome {
  readonly reach: number;
  /** Absent: it does not meet the objective. */
  readonly shown?: Shown;
}

/** Decides whether candidates meet the objective: they must be valid, pass the simulation, and sustain the load. */
export class Judge {
  readonly problem: Problem;
  readonly #simulator: Simulator;
  readonly #lasting: Lasting;
  readonly #demandsLosses: boolean;
  readonly #mustLast: boolean;
  readonly #known = new Map<string, number>();
  readonly #results = new KnownResults<Outcome>();
  /** The latest simulation, if it ran to its end at the load's own speed: its arrays are those of the next one. */
  #latest: { readonly key: string; readonly result: SimulationResult } | undefined;
  /** Ends simulations early, as if the candidate failed: the time is up. */
  expired: (() => boolean) | undefined;
  /** Simulations of the load as it is, so far. */
  simulations = 0;
  /** The same, and those that were not needed because another with the same result is known. */
  trials = 0;

  /** `mustLast`: whether the load must also be sustained when it goes on; false for a part of one that is judged as a whole later. */
  constructor(problem: Problem, mustLast = true) {
    this.problem = problem;
    this.#mustLast = mustLast;
    this.#demandsLosses = demandsLosses(problem);
    const observed = problem.targets.map((target) => target.observed);
    this.#simulator = new Simulator(problem.stages, problem.simulated, problem.load, observed);
    this.#lasting = new Lasting(problem);
  }

  /**
   * Whether a candidate meets the objective, also after each single loss that it must survive: those that the problem demands,
   * and of spot devices. Simulations stop as soon as it cannot.
   */
  holds(candidate: Candidate, speed = 1): boolean {
    const losses = this.#lossesOf(candidate);
    if (!losses.every((loss) => this.#isServed(loss, speed))) return false;
    return this.passes(candidate, speed) && losses.every(({ rest }) => this.passes(rest, speed));
  }

  /** Whether a candidate meets the objective as it is. */
  passes(candidate: Candidate, speed = 1): boolean {
    return this.reach(candidate, speed) >= 1;
  }

  /**
   * How near a candidate comes to meeting the objective as it is: 1 if it does, else the share of the load that ends until more
   * runs are late than may be; 0 if its devices cannot serve the load. Twice as many late runs halve it.
   */
  reach(candidate: Candidate, speed = 1): number {
    const key = `${speed}|${keyOf(this.problem, candidate)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const reach = this.#judged(candidate, speed);
    if (reach >= 1 || !this.expired?.()) this.#known.set(key, reach);
    return reach;
  }

  /** Whether a candidate also meets a tighter objective: 0.9 is a tenth less time. */
  holdsTighter(candidate: Candidate, share: number): boolean {
    const losses = this.#lossesOf(candidate);
    if (!losses.every((loss) => this.#isServed(loss, 1)) || this.#judged(candidate, 1, share) < 1) return false;
    return losses.every(({ rest }) => this.#judged(rest, 1, share) >= 1);
  }

  #lossesOf(candidate: Candidate): readonly Loss[] {
    return this.#demandsLosses ? demandedLosses(this.problem, candidate) : [];
  }

  /** Whether what a loss leaves can serve the load at all: known without a simulation. */
  #isServed({ rest, lost }: Loss, speed: number): boolean {
    return lost.length === 0 && balance(this.problem, rest).peak * speed < 1;
  }

  #judged(candidate: Candidate, speed: number, share = 1): number {
    const { problem } = this;
    if (!isPossible(problem, candidate)) return 0;
    const peak = balance(problem, candidate).peak * speed;
    if (peak >= 1) return 0;
    const placement = simulatedPlacement(problem, candidate);
    const { reach, shown } = this.#outcomeOf(candidate, placement, speed, share);
    if (shown === undefined || !this.#mustLast) return reach;
    const options = { seed: problem.seed, ...(this.expired && { expired: this.expired }) };
    return this.#lasting.sustains(placement, shown, { speed, peak, share, options }) ? 1 : MISSED;
  }

  #outcomeOf(candidate: Candidate, placement: SimulatedPlacement, speed: number, share: number): Outcome {
    const { problem } = this;
    const variants = problem.pools.map((_, p) => configOf(problem, candidate, p)?.variant ?? '');
    const butLimits = keyButLimits(placement, variants);
    const limits = placement.pools.map(({ maxBatch }) => maxBatch);
    const key = `${speed} ${share} ${butLimits}`;
    const known = butLimits === undefined ? undefined : this.#results.find(key, limits);
    this.trials += 1;
    if (known !== undefined) return known;
    const { outcome, waiting, isCut } = this.#simulated(candidate, placement, speed, share);
    if (butLimits !== undefined && !isCut) this.#results.add(key, limits, leastLimits(waiting, placement), outcome);
    return outcome;
  }

  #simulated(candidate: Candidate, placement: SimulatedPlacement, speed: number, share: number) {
    const { problem } = this;
    this.simulations += 1;
    const { expired } = this;
    let isCut = false;
    const cut = () => {
      isCut = expired?.() ?? false;
      return isCut;
    };
    const result = this.#simulator.run(placement, {
      ...untilLate(problem, share),
      speed,
      seed: problem.seed,
      ...(expired && { expired: cut }),
    });
    this.#latest = result.gaveUp || speed !== 1 ? undefined : { key: keyOf(problem, candidate), result };
    const outcome = this.#outcomeFrom(result, speed, share);
    return { outcome, waiting: result.waiting, isCut };
  }

  #outcomeFrom(result: SimulationResult, speed: number, share: number): Outcome {
    if (result.gaveUp) return { reach: Math.min(MISSED, result.completed / this.problem.load.timesMs.length) };
    return isInTime(this.problem, result, speed, share) ? { reach: 1, shown: shownBy(result) } : { reach: MISSED };
  }

  /** Simulates a candidate; the result's arrays are valid until the next simulation. */
  see(candidate: Candidate, trial: Trial = {}): Seen {
    const { problem } = this;
    const { speed = 1, slowdown = 1, admit, seed } = trial;
    const placement = simulatedPlacement(problem, candidate);
    const options = { slowdown, seed: seed ?? problem.seed };
    const result = this.#latestOf(candidate, trial) ?? this.#run(placement, trial, options);
    const latencies = latenciesOf(result.latencyMs);
    const pipelines = latenciesByPipeline(problem.load, result.latencyMs);
    const targets = attained(problem.targets, result.observed);
    const attainment = attainmentOf(problem, result, speed);
    const budgets = budgetsOf(problem, result, attainment.share);
    const peak = balance(problem, candidate).peak * speed * slowdown;
    const isMet = [latencies, ...pipelines].every((each) => meets(each, problem.objective));
    const inTime = isMet && hits(problem, targets) && attainment.used <= 1;
    // Its arrays are those of the next simulation, too.
    const shown = shownBy(result);
    const lasting = { ...options, ...(this.expired && { expired: this.expired }) };
    const lasts = () =>
      peak < 1 && (!this.#mustLast || this.#lasting.sustains(placement, shown, { speed, peak, options: lasting }));
    let holds: boolean | undefined;
    return {
      ...{ ...latencies, pipelines, targets, attainment, budgets, result },
      // Found out when it is asked for: to repeat a long load takes longer than all else. Requests refused beyond `admit` are no load.
      get holds() {
        holds ??= inTime && (admit !== undefined || lasts());
        return holds;
      },
    };
  }

  #run(placement: SimulatedPlacement, { speed = 1, admit, detailed = false }: Trial, options: SimulationOptions) {
    this.simulations += 1;
    this.trials += 1;
    this.#latest = undefined;
    return this.#simulator.run(placement, {
      ...options,
      speed,
      detailed,
      ...(admit !== undefined && { admit }),
    });
  }

  /** The latest simulation if it was of this candidate, and no other is asked for. */
  #latestOf(candidate: Candidate, trial: Trial): SimulationResult | undefined {
    const isPlain = Object.keys(trial).length === 0;
    return isPlain && this.#latest?.key === keyOf(this.problem, candidate) ? this.#latest.result : undefined;
  }
}

/** Reach of a candidate whose load ends without too many late runs, and that misses another objective. */
const MISSED = 0.999;
