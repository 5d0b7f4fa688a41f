import type { Replica } from './candidate.js';
import type { Cuts } from './cuts.js';
import { weighed } from './directions.js';
import type { NeededSpeed } from './needed-speed.js';
import type { Problem } from './problem.js';

/** The first price vectors. */
const MOST_DIRECTIONS = 4;

interface Group {
  readonly stages: readonly number[];
  readonly pools: readonly number[];
  /** By the kinds that each stage's pool has replicas on. */
  readonly known: Map<string, readonly Weighed[]>;
}

interface Weighed {
  readonly weights: readonly number[];
  readonly needed: NeededSpeed;
}

/**
 * Excludes assignments of pools to devices. What holds for all devices and the whole pipeline holds for a group of stages and
 * the devices that have a replica of one of its pools; each stage runs only on the kinds that its own pool has replicas on.
 */
export class Assignments {
  readonly #problem: Problem;
  readonly #cuts: Cuts;
  readonly #weights: readonly (readonly number[])[];
  readonly #groups: readonly Group[];
  /** By stage and kinds: the least machines. */
  readonly #machines = new Map<string, number>();

  /** @param weights prices by kind */
  constructor(problem: Problem, cuts: Cuts, weights: readonly (readonly number[])[]) {
    this.#problem = problem;
    this.#cuts = cuts;
    this.#weights = weights.slice(0, MOST_DIRECTIONS);
    this.#groups = cuts.parts().map((stages) => ({
      stages,
      pools: [...new Set(stages.map((v) => problem.stages[v]?.pool ?? 0))],
      known: new Map(),
    }));
  }

  excludes(replicas: readonly Replica[]): boolean {
    const problem = this.#problem;
    const on = kindsOf(problem, replicas);
    const names = on.map((kinds) => [...kinds].join('+'));
    const isTooFew = ({ stages, pools, known }: Group) => {
      const kinds = stages.map((v) => on[problem.stages[v]?.pool ?? 0] ?? new Set<number>());
      const key = stages.map((v) => names[problem.stages[v]?.pool ?? 0]).join();
      const atOnce = atOnceOf(problem, replicas, pools, 'capacity');
      const [v = 0] = stages;
      const [own] = kinds;
      // Machines are not fewer for slowing each other.
      const machines = () => total(atOnceOf(problem, replicas, pools, 'concurrency'));
      if (stages.length === 1 && own && this.#machinesOf(v, own, key) > machines()) return true;
      let all = known.get(key);
      if (all === undefined) {
        all = this.#weights.flatMap((weights): Weighed[] => {
          const needed = this.#cuts.needed(weights, stages, kinds);
          return needed ? [{ weights, needed }] : [];
        });
        all = [...all, ...this.#inBlocks(stages, kinds)];
        known.set(key, all);
      }
      return all.some(({ weights, needed }) => needed.above(weighed(weights, atOnce)) !== undefined);
    };
    return this.#groups.some(isTooFew);
  }

  /** Only where all replicas are on one kind: with several, too many prices and kinds would be tried. */
  #inBlocks(stages: readonly number[], on: readonly ReadonlySet<number>[]): readonly Weighed[] {
    const [kind, ...others] = new Set(on.flatMap((kinds) => [...kinds]));
    if (kind === undefined || others.length > 0) return [];
    const weights = this.#problem.kinds.map((_, k) => (k === kind ? 1 : 0));
    const needed = this.#cuts.neededInBlocks(weights, stages, on);
    return needed ? [{ weights, needed }] : [];
  }

  #machinesOf(v: number, on: ReadonlySet<number>, key: string): number {
    const named = `${v} ${key}`;
    const known = this.#machines.get(named) ?? this.#cuts.leastMachines(v, on);
    this.#machines.set(named, known);
    return known;
  }
}

/** By pool, the kinds that it has replicas on, in order. */
function kindsOf(problem: Problem, replicas: readonly Replica[]): readonly ReadonlySet<number>[] {
  const on = problem.pools.map(() => new Set<number>());
  for (const { pool, devices } of replicas)
    on[pool]?.add(problem.cells[problem.cellOf[devices[0] ?? 0] ?? 0]?.kind ?? 0);
  return on.map((kinds) => new Set([...kinds].sort((a, b) => a - b)));
}

/** What each kind's devices with any of these pools can do at once: by their work, or by their calls. */
function atOnceOf(
  problem: Problem,
  replicas: readonly Replica[],
  pools: readonly number[],
  by: 'capacity' | 'concurrency',
): readonly number[] {
  const seen = new Set<number>();
  const sums = problem.kinds.map(() => 0);
  for (const { pool, devices } of replicas) {
    if (!pools.includes(pool)) continue;
    for (const device of devices) {
      if (seen.has(device)) continue;
      seen.add(device);
      const cell = problem.cells[problem.cellOf[device] ?? 0];
      if (cell) sums[cell.kind] = (sums[cell.kind] ?? 0) + cell[by];
    }
  }
  return sums;
}

const total = (all: readonly number[]): number => all.reduce((sum, each) => sum + each, 0);
