import { mayBeLate } from '../simulator/index.js';
import { chainWork, classesOfRuns, type RunClasses } from './chain-work.js';
import { type Option, optionsOf, stageDemand } from './demand.js';
import type { StageDemand } from './density.js';
import { leastLate, leastSpeed } from './late-jobs.js';
import { earliestEnds, longestPaths } from './paths.js';
import type { Problem } from './problem.js';

/** A valid inequality: the sum of `weights` (by kind, for each call at once on each device) is at least `bound`. */
export interface Cut {
  readonly weights: readonly number[];
  readonly bound: number;
}

/** A group's options, and what its runs have in common. */
interface Prepared {
  readonly own: readonly (readonly Option[])[];
  readonly classes: RunClasses;
  readonly allowedMs: number;
  readonly limitMs: number | undefined;
}

/** Stages in a group whose objective is shared exactly; of more, each has its own slack. */
const MOST_STAGES = 8;

/**
 * Lower bounds for the devices of any placement that meets the objective on this load.
 *
 * **Claim.** Give each kind k of device a price w_k >= 0 per millisecond of a call. Let a run need at least c_i of priced
 * device time for the stages of a group S if it is to be in time, between its arrival plus the least time before S and its
 * deadline less the least time after S. If a placement with y_k calls at once on kind k meets the objective, then on one
 * machine of speed sum(w_k·y_k), with a job of work c_i for each run in that interval, at most the allowed number of jobs is
 * late.
 *
 * **Proof.** At every moment the devices spend at most sum(w_k·y_k) of priced time per millisecond. Each run in time spends
 * c_i of it within its interval, whatever the assignment, the batches and the order; so the machine that spends its speed on
 * the same runs as the devices do completes each of them by the end of its interval, in preemptive order, and the runs that are
 * late in the placement are at most the allowed ones. `leastLate` finds the least number of late jobs over all schedules.
 *
 * So sum(w_k·y_k) is at least the least speed with few enough late jobs: a cut for any w. It captures bursts, which an
 * average rate does not, and light loads, at which no batch can fill in time (`optionsOf`). The argument is the processor
 * demand criterion of real-time scheduling (S. Baruah, L. Rosier, R. Howell: Algorithms and complexity concerning the preemptive
 * scheduling of periodic, real-time tasks on one processor. Real-Time Systems 2, 1990), with late jobs and prices.
 */
export class Cuts {
  readonly #problem: Problem;
  readonly #demands: readonly StageDemand[];
  /** By stage: its options on each kind. */
  readonly #options: readonly (readonly Option[])[];
  readonly #leastMs: readonly number[];
  readonly #limitMs: number;
  readonly #most: number;
  /** A run of this load is possible at all. */
  readonly possible: boolean;

  constructor(problem: Problem) {
    this.#problem = problem;
    const { load, stages, objective, seed } = problem;
    const strict = objective.p99Ms !== undefined;
    this.#limitMs = objective.p99Ms ?? objective.p95Ms ?? Number.POSITIVE_INFINITY;
    this.#most = mayBeLate(load.timesMs.length, strict ? 0.99 : 0.95);
    this.#demands = stages.map((_, v) => stageDemand(load, stages, v, seed));
    // First with the whole objective for each stage, to know the least times; then with what the others leave.
    const roughly = stages.map((_, v) => this.#optionsOf(v, this.#limitMs));
    const rarely = (v: number) => !this.#demands[v]?.runs.every((run) => this.#demands[v]?.needed[run] === 1);
    this.#leastMs = stages.map((stage, v) =>
      rarely(v) ? 0 : stage.overheadMs + Math.min(...(roughly[v] ?? []).map(({ ms }) => ms)),
    );
    const paths = longestPaths(stages, this.#leastMs);
    this.possible = paths.every((ms) => ms <= this.#limitMs);
    this.#options = stages.map((_, v) =>
      this.possible ? this.#optionsOf(v, this.#limitMs - (paths[v] ?? 0) + (this.#leastMs[v] ?? 0)) : [],
    );
  }

  #optionsOf(v: number, slackMs: number): readonly Option[] {
    const { load, pools, stages, kinds } = this.#problem;
    const demand = this.#demands[v] as StageDemand;
    return kinds.flatMap((_, kind) => {
      // Variants and batch limits are free: the best of every variant counts.
      const uses = (pools[stages[v]?.pool ?? 0]?.configs ?? []).flatMap(({ uses: by }) => by[kind] ?? []);
      const widest = new Map(uses.map((use) => [use.profile, use] as const));
      for (const use of uses) {
        if (use.maxBatch > (widest.get(use.profile)?.maxBatch ?? 0)) widest.set(use.profile, use);
      }
      return [...widest.values()].flatMap(({ tables, maxBatch, width }) => {
        const table = tables[v];
        return table ? optionsOf(load, demand, kind, table, maxBatch, width, slackMs) : [];
      });
    });
  }

  /**
   * The cut of these prices, by kind, for a group of stages, given by index; undefined if devices with this sum of
   * weights satisfy it.
   */
  cut(weights: readonly number[], group: readonly number[], sum: number): Cut | undefined {
    const { load } = this.#problem;
    // Without an objective for whole runs none is late.
    if (this.#limitMs === Number.POSITIVE_INFINITY) return undefined;
    const key = group.join();
    const known = this.#groups.get(key) ?? this.#prepared(group);
    this.#groups.set(key, known);
    const { own, classes, limitMs, allowedMs } = known;
    const work = chainWork(own, classes, weights, limitMs);
    let lost = 0;
    for (const [i, each] of work.entries()) {
      // Of other pipelines, or without any way to be in time.
      if (each !== Number.POSITIVE_INFINITY) continue;
      work[i] = 0;
      lost += 1;
    }
    if (lost > this.#most) return { weights, bound: Number.POSITIVE_INFINITY };
    const jobs = { releaseMs: load.timesMs, allowedMs, work };
    if (sum > 0 && leastLate(jobs, sum * (1 + 1e-6), this.#most - lost) <= this.#most - lost) return undefined;
    const total = work.reduce((all, each) => all + each, 0);
    if (total === 0) return undefined;
    const spanMs = Math.max(1, (load.timesMs.at(-1) ?? 0) - (load.timesMs[0] ?? 0));
    return { weights, bound: leastSpeed(jobs, this.#most - lost, Math.max(sum, total / spanMs)) };
  }

  readonly #groups = new Map<string, Prepared>();

  #prepared(group: readonly number[]): Prepared {
    const { load, stages } = this.#problem;
    const { upMs, downMs } = this.#around(group);
    const allowedMs = this.#limitMs - upMs - downMs;
    const own = group.map((v) => this.#options[v] ?? []);
    const overheadMs = group.reduce((sum, v) => sum + overheadOf(stages[v]), 0);
    const chained = group.length <= MOST_STAGES && isChain(stages, group);
    const limitMs = chained ? allowedMs - overheadMs : undefined;
    return { own, allowedMs, limitMs, classes: classesOfRuns(own, load.timesMs.length) };
  }

  /** The least times before and after a group. */
  #around(group: readonly number[]) {
    const { stages } = this.#problem;
    const paths = longestPaths(stages, this.#leastMs);
    if (group.length === stages.length) return { upMs: 0, downMs: 0 };
    const [first = 0] = group;
    const last = group.at(-1) ?? 0;
    const until = earliestEnds(stages, this.#leastMs);
    const upMs = (until[first] ?? 0) - (this.#leastMs[first] ?? 0);
    const downMs = (paths[last] ?? 0) - (until[last] ?? 0);
    return { upMs, downMs };
  }

  /** Groups worth a cut: everything, single stages, and stretches of a chain. */
  groups(): readonly (readonly number[])[] {
    const { stages } = this.#problem;
    const all = stages.map((_, v) => v);
    const stretches: number[][] = [];
    for (let from = 0; from < all.length; from += 1) {
      for (let to = from + 1; to <= all.length; to += 1) {
        const group = all.slice(from, to);
        if (group.length < all.length && isChain(stages, group)) stretches.push(group);
      }
    }
    stretches.sort((a, b) => b.length - a.length);
    const pipelines = [...new Set(stages.map(({ pipeline }) => pipeline))].map((p) =>
      all.filter((v) => stages[v]?.pipeline === p),
    );
    return [...(pipelines.length > 1 ? pipelines : []), all, ...stretches];
  }
}

/** A stage that reads a stream has its overhead while the stream is made. */
const overheadOf = (stage: Problem['stages'][number] | undefined): number =>
  stage === undefined || stage.streamFrom !== undefined ? 0 : stage.overheadMs;

/** Whether each stage waits for the one before it alone, so that their times add up. */
function isChain(stages: Problem['stages'], group: readonly number[]): boolean {
  return group.every((v, i) => {
    if (i === 0) return true;
    const { after = [] } = stages[v] ?? {};
    return after.length === 1 && after[0] === group[i - 1];
  });
}
