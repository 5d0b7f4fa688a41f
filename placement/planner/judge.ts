import {
  mayBeLate,
  percentile,
  type SimulatedPlacement,
  type SimulationResult,
  Simulator,
  sortedNumbers,
} from '../simulator/index.js';
import { type Attainment, attainmentOf } from './attainment.js';
import { type Candidate, configOf, isPossible, keyOf, simulatedPlacement } from './candidate.js';
import { budgetsOf, keptShare, type Spent } from './error-budget.js';
import { KnownResults, keyButLimits, leastLimits } from './known-results.js';
import { demandedLosses, demandsLosses, type Loss } from './losses.js';
import type { Objective, Problem } from './problem.js';
import { balance } from './stability.js';
import { attained, limitsOf } from './targets.js';

/** Latencies of whole runs, in milliseconds. */
export interface Latencies {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

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
  /** By target of the problem: the value at its percentile. */
  readonly targets: readonly number[];
  readonly attainment: Attainment;
  /** By objective: what of its error budget is spent. */
  readonly budgets: readonly Spent[];
  readonly result: SimulationResult;
}

/** Decides whether candidates meet the objective: they must be valid, stable, and pass the simulation. */
export class Judge {
  readonly problem: Problem;
  readonly #simulator: Simulator;
  readonly #demandsLosses: boolean;
  readonly #known = new Map<string, number>();
  readonly #results = new KnownResults();
  /** Ends simulations early, as if the candidate failed: the time is up. */
  expired: (() => boolean) | undefined;
  /** Simulations so far. */
  simulations = 0;
  /** The same, and those that were not needed because another with the same result is known. */
  trials = 0;

  constructor(problem: Problem) {
    this.problem = problem;
    this.#demandsLosses = demandsLosses(problem);
    const observed = problem.targets.map((target) => target.observed);
    this.#simulator = new Simulator(problem.stages, problem.simulated, problem.load, observed);
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
    if (!isPossible(problem, candidate) || balance(problem, candidate).peak * speed >= 1) return 0;
    const placement = simulatedPlacement(problem, candidate);
    const variants = problem.pools.map((_, p) => configOf(problem, candidate, p)?.variant ?? '');
    const butLimits = keyButLimits(placement, variants);
    const limits = placement.pools.map(({ maxBatch }) => maxBatch);
    const key = `${speed} ${share} ${butLimits}`;
    const known = butLimits === undefined ? undefined : this.#results.find(key, limits);
    this.trials += 1;
    if (known !== undefined) return known;
    const { reach, waiting, isCut } = this.#simulated(placement, speed, share);
    if (butLimits !== undefined && !isCut) this.#results.add(key, limits, leastLimits(waiting, placement), reach);
    return reach;
  }

  #simulated(placement: SimulatedPlacement, speed: number, share: number) {
    const { problem } = this;
    const count = problem.load.timesMs.length;
    const objective = tightened(problem.objective, share);
    const { p95Ms, p99Ms, errorBudget } = objective;
    const giveUp =
      p99Ms !== undefined
        ? { afterMs: p99Ms, late: mayBeLate(count, keptShare(0.99, errorBudget)) }
        : { afterMs: p95Ms ?? Number.POSITIVE_INFINITY, late: mayBeLate(count, keptShare(0.95, errorBudget)) };
    this.simulations += 1;
    const { expired } = this;
    let isCut = false;
    const cut = () => {
      isCut = expired?.() ?? false;
      return isCut;
    };
    const result = this.#simulator.run(placement, {
      giveUp,
      limits: limitsOf(problem.targets, count, share, errorBudget),
      speed,
      seed: problem.seed,
      ...(expired && { expired: cut }),
    });
    const { waiting } = result;
    if (result.gaveUp) return { reach: Math.min(MISSED, result.completed / count), waiting, isCut };
    const inTime =
      meets(latenciesOf(result), objective) &&
      this.#hits(attained(problem.targets, result.observed), share) &&
      (isPlain(objective) || attainmentOf(problem, result, speed).used <= share);
    return { reach: inTime ? 1 : MISSED, waiting, isCut };
  }

  #hits(values: readonly number[], share = 1): boolean {
    return this.problem.targets.every(({ ms }, i) => (values[i] ?? 0) <= ms * share);
  }

  /** Simulates a candidate; the result's arrays are valid until the next simulation. */
  see(candidate: Candidate, { speed = 1, slowdown = 1, admit, detailed = false, seed }: Trial = {}): Seen {
    this.simulations += 1;
    this.trials += 1;
    const result = this.#simulator.run(simulatedPlacement(this.problem, candidate), {
      speed,
      slowdown,
      detailed,
      seed: seed ?? this.problem.seed,
      ...(admit !== undefined && { admit }),
    });
    const latencies = latenciesOf(result);
    const targets = attained(this.problem.targets, result.observed);
    const attainment = attainmentOf(this.problem, result, speed);
    const budgets = budgetsOf(this.problem, result, attainment.share);
    const peak = balance(this.problem, candidate).peak * speed * slowdown;
    // Requests refused beyond `admit` are no load.
    const inTime = meets(latencies, this.problem.objective) && this.#hits(targets) && attainment.used <= 1;
    return { ...latencies, holds: inTime && (admit !== undefined || peak < 1), targets, attainment, budgets, result };
  }
}

/** Reach of a candidate whose load ends without too many late runs, and that misses another objective. */
const MISSED = 0.999;

/** Whether it demands nothing beyond its percentiles. */
const isPlain = ({ goodput, worstMinute, errorBudget }: Objective): boolean =>
  goodput === undefined && worstMinute === undefined && errorBudget === undefined;

const tightened = ({ p95Ms, p99Ms, goodput, worstMinute, errorBudget }: Objective, share: number): Objective => ({
  goodput,
  worstMinute,
  errorBudget,
  p95Ms: p95Ms === undefined ? undefined : p95Ms * share,
  p99Ms: p99Ms === undefined ? undefined : p99Ms * share,
});

function latenciesOf({ latencyMs }: SimulationResult): Latencies {
  const sorted = sortedNumbers(latencyMs);
  return { p50Ms: percentile(sorted, 0.5), p95Ms: percentile(sorted, 0.95), p99Ms: percentile(sorted, 0.99) };
}

const meets = ({ p95Ms, p99Ms }: Latencies, objective: Objective): boolean =>
  p95Ms <= (objective.p95Ms ?? Number.POSITIVE_INFINITY) && p99Ms <= (objective.p99Ms ?? Number.POSITIVE_INFINITY);
