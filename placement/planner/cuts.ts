import { firstContinuous, mayBeLate } from '../simulator/index.js';
import { blocksOf } from './block-work.js';
import { leastLateInBlocks } from './blocks.js';
import { chainWork, classesOfRuns, type RunClasses } from './chain-work.js';
import { type Option, optionsOf, type Slack, stageDemand, undominated } from './demand.js';
import { pairsWithin, type StageDemand } from './density.js';
import { keptShare } from './error-budget.js';
import { leastLate, leastLateOn } from './late-jobs.js';
import { type Demanded, NeededSpeed } from './needed-speed.js';
import { earliestEnds, endsAfter, longestPaths } from './paths.js';
import type { Problem } from './problem.js';

/**
 * A valid inequality: the sum of `weights` (by kind, for each call at once on each device) is at least `bound`. One that holds
 * for devices of some kinds only gives each device of another kind the weight `bound`.
 */
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

/** Stages of a part on several kinds: larger ones have too many assignments of kinds. */
const MOST_MIXED = 2;

/** Pairs of runs that may be in one block: the count of blocks takes some 0.1 µs for each, at each of some ten speeds. */
const MOST_PAIRS = 1e7;

/** Most stretches of a chain: of hundreds of stages only short ones, since all would take more time and memory than a search. */
const MOST_STRETCHES = 2_000;

/** Stages in a group whose objective is shared exactly; of more, each has its own slack. */
const MOST_STAGES = 8;

/**
 * Lower bounds for the devices of any placement that meets the objective on this load.
 *
 * **Claim.** Give each kind k of device a price w_k >= 0 per millisecond of a call. Let a run need at least c_i of priced
 * device time for the stages of a group S if it is to be in time, between its arrival plus the least time before S and its
 * deadline less the least time after S. If a placement with y_k calls at once on kind k meets the objective, then on one
 * machine of speed sum(w_k·y_k), with a job of work c_i for each run in that interval, at most as many jobs are late as runs may be:
 * those that the objective allows, and those that fail, which are in no percentile.
 *
 * **Proof.** At every moment the devices spend at most sum(w_k·y_k) of priced time per millisecond. Each run in time spends
 * c_i of it within its interval, whatever the assignment, the batches and the order; so the machine that spends its speed on
 * the same runs as the devices do completes each of them by the end of its interval, in preemptive order, and the runs that are
 * late in the placement are at most the allowed ones. `leastLate` finds the least number of late jobs over all schedules.
 *
 * So sum(w_k·y_k) is at least the least speed with few enough late jobs: a cut for any w. It captures bursts, which an
 * average rate does not, and light loads, at which no batch can fill in time (`optionsOf`). That a run can have full batches does not mean
 * that all runs can: `leastLateInBlocks` counts what batches in order need. The argument is the processor
 * demand criterion of real-time scheduling (S. Baruah, L. Rosier, R. Howell: Algorithms and complexity concerning the preemptive
 * scheduling of periodic, real-time tasks on one processor. Real-Time Systems 2, 1990), with late jobs and prices.
 *
 * The same holds for the placements that use devices of some kinds only (`kinds`): their runs have fewer options, the other
 * stages take longer at least, so that each has less slack and smaller batches, and the least speed is higher.
 */
export class Cuts {
  readonly #problem: Problem;
  readonly #demands: readonly StageDemand[];
  /** By stage: its options on each kind. */
  readonly #options: readonly (readonly Option[])[];
  readonly #leastMs: readonly number[];
  /** By stage: some of its pipeline's runs do not call its pool. */
  readonly #isSkipped: readonly boolean[];
  readonly #limitMs: number;
  /** Runs that need not be in time: those that may be late, and those that fail. */
  readonly #most: number;
  /** The stages' least times leave every pipeline time. */
  readonly #fits: boolean;
  /** Few enough runs are late on idle devices. */
  readonly possible: boolean;
  readonly #kinds: ReadonlySet<number>;

  /** @param kinds the kinds of devices that a placement may use */
  constructor(problem: Problem, kinds: ReadonlySet<number>) {
    this.#problem = problem;
    this.#kinds = kinds;
    const { load, stages, objective, seed, failing } = problem;
    const strict = objective.p99Ms !== undefined;
    this.#limitMs = objective.p99Ms ?? objective.p95Ms ?? Number.POSITIVE_INFINITY;
    this.#most = mayBeLate(load.timesMs.length, keptShare(strict ? 0.99 : 0.95, objective.errorBudget)) + failing;
    this.#demands = stages.map((_, v) => stageDemand(load, stages, v, seed));
    // First with the whole objective for each stage, to know the least times; then with what the others leave.
    const all = { ownMs: this.#limitMs, poolMs: this.#limitMs };
    const roughly = stages.map((_, v) => this.#optionsOf(v, all, [1]));
    this.#isSkipped = this.#demands.map(({ runs, needed }) => !runs.every((run) => needed[run] === 1));
    this.#leastMs = stages.map((stage, v) =>
      this.#isSkipped[v] ? 0 : stage.overheadMs + Math.min(...(roughly[v] ?? []).map(({ ms }) => ms)),
    );
    const paths = longestPaths(stages, this.#leastMs);
    this.#fits = paths.every((ms) => ms <= this.#limitMs);
    const tooLong = new Set(stages.flatMap(({ pipeline }, v) => ((paths[v] ?? 0) <= this.#limitMs ? [] : [pipeline])));
    const late = load.pipelines.reduce((sum, pipeline) => sum + (tooLong.has(pipeline) ? 1 : 0), 0);
    this.possible = late <= this.#most;
    this.#options = stages.map((_, v) => (this.#fits ? this.#optionsOf(v, this.#slackOf(v)) : []));
  }

  #slackOf(v: number): Slack {
    const { stages } = this.#problem;
    const { upMs, downMs } = this.#besides(v);
    // Of a stage that reads a stream, whose pieces come meanwhile, no times before and after its calls are known.
    const sharing = stages.flatMap(({ pool, streamFrom }, other) => {
      if (pool !== stages[v]?.pool) return [];
      return [streamFrom === undefined ? this.#besides(other) : { upMs: 0, downMs: 0 }];
    });
    const leastUpMs = Math.min(...sharing.map((each) => each.upMs));
    const leastDownMs = Math.min(...sharing.map((each) => each.downMs));
    return { ownMs: this.#limitMs - upMs - downMs, poolMs: this.#limitMs - leastUpMs - leastDownMs };
  }

  /** The least times before and after a stage. */
  #besides(v: number) {
    const { stages } = this.#problem;
    const until = earliestEnds(stages, this.#leastMs)[v] ?? 0;
    const upMs = until - (this.#leastMs[v] ?? 0);
    return { upMs, downMs: (longestPaths(stages, this.#leastMs)[v] ?? 0) - until };
  }

  #optionsOf(v: number, slack: Slack, grid?: readonly number[]): readonly Option[] {
    const { load, pools, stages, kinds } = this.#problem;
    const demand = this.#demands[v] as StageDemand;
    return kinds.flatMap((_, kind) => {
      if (!this.#kinds.has(kind)) return [];
      // Variants and batch limits are free: the best of every variant counts.
      const uses = (pools[stages[v]?.pool ?? 0]?.configs ?? []).flatMap(({ uses: by }) => by[kind] ?? []);
      const widest = new Map(uses.map((use) => [use.profile, use] as const));
      for (const use of uses) {
        if (use.maxBatch > (widest.get(use.profile)?.maxBatch ?? 0)) widest.set(use.profile, use);
      }
      const options = [...widest.values()].flatMap(({ tables, maxBatch, width }) => {
        const own = tables[v];
        const steps = firstContinuous(tables)?.steps;
        const table = own?.batching === 'continuous' && steps ? { ...own, steps } : own;
        return table ? optionsOf(load, demand, kind, table, maxBatch, width, slack, grid) : [];
      });
      return undominated(options);
    });
  }

  /**
   * The speed that a group of stages, given by index, needs at these prices by kind; undefined without an objective for whole
   * runs, of which none is late then.
   *
   * @param on by stage of the group, the kinds that its pool has replicas on; default: any
   */
  needed(
    weights: readonly number[],
    group: readonly number[],
    on?: readonly ReadonlySet<number>[],
  ): NeededSpeed | undefined {
    if (this.#limitMs === Number.POSITIVE_INFINITY) return undefined;
    return new NeededSpeed(() => this.#jobs(weights, this.#preparedFor(group, on)));
  }

  /**
   * The same by what `leastLateInBlocks` counts: batches are formed once, of runs that arrive one after the other, and not anew for each run.
   * Undefined if not every run calls each stage of the group, in a chain, exactly once, in a pool of dynamic batches of its own.
   */
  neededInBlocks(
    weights: readonly number[],
    group: readonly number[],
    on?: readonly ReadonlySet<number>[],
  ): NeededSpeed | undefined {
    if (this.#limitMs === Number.POSITIVE_INFINITY || !this.#isPlain(group)) return undefined;
    return new NeededSpeed(() => this.#inBlocks(weights, group, on));
  }

  #inBlocks(weights: readonly number[], group: readonly number[], on?: readonly ReadonlySet<number>[]): Demanded {
    const { load } = this.#problem;
    const { upMs, downMs } = this.#around(group);
    const { runs } = this.#demands[group[0] ?? 0] as StageDemand;
    const releaseMs = Float64Array.from(runs, (run) => load.timesMs[run] as number);
    const most = this.#most;
    const blocks = blocksOf(this.#problem, weights, {
      stages: group.map((v, i) => ({ v, kinds: on?.[i] ?? this.#kinds })),
      releaseMs,
      allowedMs: this.#limitMs - upMs - downMs,
      besidesMs: this.#overheadMs(group) + this.#betweenMs(group),
    });
    const nothing = { late: () => 0, work: 0, spanMs: 1 };
    // Without a way to be in time all of them are late.
    if (blocks === undefined) return { ...nothing, most: most - releaseMs.length };
    // The count takes a step for each of these, and nothing interrupts it when the time is up.
    if (pairsWithin(releaseMs, blocks.allowedMs - blocks.leastMs) > MOST_PAIRS) return { ...nothing, most };
    return {
      late: (speed) => leastLateInBlocks(blocks, speed, most),
      work: blocks.setup + releaseMs.length * blocks.each,
      spanMs: (releaseMs.at(-1) ?? 0) - (releaseMs[0] ?? 0),
      most,
    };
  }

  #isPlain(group: readonly number[]): boolean {
    const { stages, pools } = this.#problem;
    const isOnce = (v: number) => {
      const { calls = 0, fanOut, pool = 0 } = stages[v] ?? {};
      const alone = stages.filter((other) => other.pool === pool).length === 1;
      const dynamic = pools[pool]?.configs.every(({ batching }) => batching === 'dynamic') ?? false;
      return calls === 1 && fanOut === undefined && !this.#isSkipped[v] && alone && dynamic;
    };
    return isChain(stages, stretchOf(group)) && group.every(isOnce);
  }

  /**
   * The least number of calls at once that a stage needs on devices of these kinds, if each device runs one batch of the stage after
   * the other. A batch with b runs in time takes at least b times the least work of a run, and runs at once on one replica: as
   * b jobs of that length in its place would. So at least as many runs are late as of jobs of that length, one for each run, on as
   * many machines (`leastLateOn`), which unlike one fast machine cannot hurry a single job. Replicas on devices that they share,
   * or that wait for a turn, take longer still.
   */
  leastMachines(v: number, on: ReadonlySet<number>): number {
    const { load, stages, pools } = this.#problem;
    const { calls = 0, pool = 0 } = stages[v] ?? {};
    const isSimple = pools[pool]?.configs.every(
      ({ batching, uses }) => batching === 'dynamic' && uses.every((use) => use === undefined || use.width === 1),
    );
    if (calls !== 1 || !isSimple || this.#limitMs === Number.POSITIVE_INFINITY) return 1;
    const demand = this.#demands[v] as StageDemand;
    const needed = demand.runs.filter((run) => demand.needed[run] === 1);
    const options = (this.#options[v] ?? []).filter(({ kind }) => on.has(kind));
    const lengthMs = options.reduce(
      (least, { work }) => needed.reduce((all, run) => Math.min(all, work[run] as number), least),
      Number.POSITIVE_INFINITY,
    );
    if (needed.length <= this.#most) return 1;
    if (lengthMs === Number.POSITIVE_INFINITY) return lengthMs;
    const { upMs, downMs } = this.#around([v]);
    const allowedMs = this.#limitMs - upMs - downMs;
    const jobs = { releaseMs: Float64Array.from(needed, (run) => load.timesMs[run] as number), allowedMs, lengthMs };
    for (let machines = 1; machines <= needed.length; machines += 1) {
      if (leastLateOn(machines, jobs, this.#most) <= this.#most) return machines;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The cut that says that a group needs more than `bound` at these prices. */
  cutOf(weights: readonly number[], bound: number): Cut {
    const isWhole = this.#problem.kinds.every((_, kind) => this.#kinds.has(kind));
    if (isWhole) return { weights, bound };
    // One device of a kind of which the cut knows nothing satisfies it.
    if (bound === Number.POSITIVE_INFINITY)
      return { weights: weights.map((_, k) => (this.#kinds.has(k) ? 0 : 1)), bound: 1 };
    return { weights: weights.map((weight, k) => (this.#kinds.has(k) ? weight : bound)), bound };
  }

  #jobs(weights: readonly number[], { own, classes, limitMs, allowedMs }: Prepared): Demanded {
    const work = chainWork(own, classes, weights, limitMs);
    let lost = 0;
    for (const [i, each] of work.entries()) {
      // Of other pipelines, or without any way to be in time.
      if (each !== Number.POSITIVE_INFINITY) continue;
      work[i] = 0;
      lost += 1;
    }
    const releaseMs = this.#problem.load.timesMs;
    const most = this.#most - lost;
    const jobs = { releaseMs, allowedMs, work };
    return {
      late: (speed) => leastLate(jobs, speed, most),
      work: work.reduce((sum, each) => sum + each, 0),
      spanMs: (releaseMs.at(-1) ?? 0) - (releaseMs[0] ?? 0),
      most,
    };
  }

  readonly #groups = new Map<string, Prepared>();

  #preparedFor(group: readonly number[], on: readonly ReadonlySet<number>[] | undefined): Prepared {
    // There may be thousands of assignments, and each is asked about once or twice.
    if (on) return this.#prepared(group, on);
    const key = group.join();
    const known = this.#groups.get(key) ?? this.#prepared(group, on);
    this.#groups.set(key, known);
    return known;
  }

  #prepared(group: readonly number[], on: readonly ReadonlySet<number>[] | undefined): Prepared {
    const { load, stages } = this.#problem;
    const { upMs, downMs } = this.#around(group);
    const allowedMs = this.#limitMs - upMs - downMs;
    const own = group.map((v, i) => {
      const options = (this.#options[v] ?? []).filter(({ kind }) => on?.[i]?.has(kind) ?? true);
      return options.length > 0 ? options : [this.#none(v)];
    });
    const chained = group.length <= MOST_STAGES && isChain(stages, stretchOf(group));
    const limitMs = chained ? allowedMs - this.#overheadMs(group) - this.#betweenMs(group) : undefined;
    return { own, allowedMs, limitMs, classes: classesOfRuns(own, load.timesMs.length) };
  }

  /** A run that skips a stage does not have its overhead. */
  #overheadMs(group: readonly number[]): number {
    const { stages } = this.#problem;
    return group.reduce((sum, v) => sum + (this.#isSkipped[v] ? 0 : overheadOf(stages[v])), 0);
  }

  /** From the first stage of a group to its last, those that are not in it take their least times. */
  #betweenMs(group: readonly number[]): number {
    return stretchOf(group).reduce((sum, v) => sum + (group.includes(v) ? 0 : (this.#leastMs[v] ?? 0)), 0);
  }

  /** No way to serve a stage in time: runs that need it are late, others are not. */
  #none(v: number): Option {
    const { runs, needed } = this.#demands[v] as StageDemand;
    const work = new Float64Array(this.#problem.load.timesMs.length);
    for (const run of runs) if (needed[run] === 1) work[run] = Number.POSITIVE_INFINITY;
    return { kind: 0, ms: 0, work };
  }

  /** The least times before and after a group. */
  #around(group: readonly number[]) {
    if (group.length === this.#problem.stages.length) return { upMs: 0, downMs: 0 };
    return { upMs: this.#besides(group[0] ?? 0).upMs, downMs: this.#besides(group.at(-1) ?? 0).downMs };
  }

  /** Parts of every chain of stages, the smallest first: the devices with their pools must suffice for them. */
  parts(): readonly (readonly number[])[] {
    const { stages } = this.#problem;
    if (!this.#fits || stages.length > MOST_STAGES) return this.groups();
    const parts: number[][] = [];
    for (let set = 1; set < 2 ** stages.length; set += 1) {
      const part = stages.flatMap((_, v) => ((set >> v) & 1 ? [v] : []));
      const isSmall = this.#kinds.size === 1 || part.length <= MOST_MIXED;
      if (isSmall && isChain(stages, stretchOf(part))) parts.push(part);
    }
    return parts.sort((a, b) => a.length - b.length);
  }

  /** Groups of stages worth a cut. */
  groups(): readonly (readonly number[])[] {
    return [...this.wholes(), ...this.stretches()];
  }

  /** Everything, and each of several pipelines. */
  wholes(): readonly (readonly number[])[] {
    if (!this.#fits) return [];
    const pipelines = this.pipelines();
    return [...(pipelines.length > 1 ? pipelines : []), [...this.#problem.stages.keys()]];
  }

  /** Single stages, and stretches of a chain, the longest first. */
  stretches(): readonly (readonly number[])[] {
    const { stages } = this.#problem;
    if (!this.#fits) return [];
    const all = [...stages.keys()];
    const stretches: number[][] = [];
    const longest = Math.max(1, Math.floor(MOST_STRETCHES / all.length));
    for (let from = 0; from < all.length; from += 1) {
      for (let to = from + 1; to <= Math.min(all.length, from + longest); to += 1) {
        const group = all.slice(from, to);
        if (group.length < all.length && isChain(stages, group)) stretches.push(group);
      }
    }
    return stretches.sort((a, b) => b.length - a.length);
  }

  /** The stages of each pipeline. */
  pipelines(): readonly (readonly number[])[] {
    const { stages } = this.#problem;
    const each = [...new Set(stages.map(({ pipeline }) => pipeline))];
    return each.map((p) => stages.flatMap(({ pipeline }, v) => (pipeline === p ? [v] : [])));
  }
}

/** The stages from the first to the last of a group. */
function stretchOf(group: readonly number[]): readonly number[] {
  const [first = 0] = group;
  return Array.from({ length: (group.at(-1) ?? first) - first + 1 }, (_, i) => first + i);
}

/** A stage that reads a stream has its overhead while the stream is made. */
const overheadOf = (stage: Problem['stages'][number] | undefined): number =>
  stage === undefined || stage.streamFrom !== undefined ? 0 : stage.overheadMs;

/** Whether each stage waits for the one before it alone, so that their times add up. */
function isChain(stages: Problem['stages'], group: readonly number[]): boolean {
  return group.every((v, i) => {
    if (i === 0) return true;
    const before = endsAfter(stages, v);
    return before.length === 1 && before[0] === group[i - 1];
  });
}
