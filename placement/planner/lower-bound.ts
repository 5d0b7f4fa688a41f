import { cheapest, type Relaxed } from './bound.js';
import type { Replica } from './candidate.js';
import { type Cut, Cuts } from './cuts.js';
import type { Problem } from './problem.js';

/** Kinds of which every subset is tried as the ones that have a price. */
const MOST_KINDS = 4;

/** Prices of kinds for a cut: all, subsets of them, and one kind weighed more. */
function directions(prices: readonly number[]): readonly (readonly number[])[] {
  const all = prices.map((_, k) => k);
  const subsets =
    all.length <= MOST_KINDS
      ? Array.from({ length: 2 ** all.length - 1 }, (_, i) => all.filter((k) => (2 ** all.length - 1 - i) & (1 << k)))
      : [all, ...all.map((gone) => all.filter((k) => k !== gone)), ...all.map((k) => [k])];
  const shaded = all.length > 1 ? all.map((k) => prices.map((price, j) => (j === k ? price / 2 : price))) : [];
  return [...subsets.map((kept) => prices.map((price, k) => (kept.includes(k) ? price : 0))), ...shaded];
}

/** Tightens the lower bound of the cost by cuts, step by step, while `goOn`. */
export class LowerBound {
  readonly #problem: Problem;
  readonly #cuts: Cut[] = [];
  readonly #tries: readonly { readonly weights: readonly number[]; readonly group: readonly number[] }[];
  readonly #source: Cuts;
  readonly #directions: readonly (readonly number[])[];
  #relaxed: Relaxed;

  constructor(problem: Problem) {
    this.#problem = problem;
    this.#source = new Cuts(problem);
    const prices = problem.kinds.map((_, kind) =>
      Math.min(
        ...problem.cells.flatMap((cell) =>
          // A free device is priced a little, so that it counts.
          cell.kind === kind ? [Math.max(cell.pricePerHour, 1e-3) / cell.concurrency] : [],
        ),
      ),
    );
    const weights = directions(prices);
    this.#directions = weights;
    this.#tries = this.#source.possible
      ? this.#source.groups().flatMap((group) => weights.map((each) => ({ weights: each, group })))
      : [];
    this.#relaxed = this.#source.possible
      ? cheapest(problem)
      : { value: Number.POSITIVE_INFINITY, atOnce: problem.kinds.map(() => 0) };
  }

  get value(): number {
    return this.#relaxed.value;
  }

  /** Adds cuts until the cheapest devices satisfy all, the bound reaches `upTo`, or the time is up. */
  tighten(goOn: () => boolean, upTo: number): void {
    for (let found = true; found && goOn() && this.value < upTo - 1e-9; ) {
      found = false;
      for (const { weights, group } of this.#tries) {
        if (!goOn()) return;
        const cut = this.#source.cut(weights, group, weighed(weights, this.#relaxed.atOnce));
        if (cut === undefined) continue;
        this.#cuts.push(cut);
        const next = cheapest(this.#problem, this.#cuts);
        found = true;
        // Numerically the relaxation may not move: then the next cut.
        if (next.value >= this.#relaxed.value) this.#relaxed = next;
        break;
      }
      if (this.#cuts.length > MOST_CUTS) return;
    }
  }

  /** Whether an assignment is excluded: the devices with a group's pools are too few for the group. */
  excludes(replicas: readonly Replica[], goOn: () => boolean): boolean {
    this.#grouped ??= this.#source.groups().flatMap((group) => {
      const pools = new Set(group.map((v) => this.#problem.stages[v]?.pool ?? 0));
      if (pools.size === this.#problem.pools.length || group.length > MOST_GROUPED) return [];
      const cuts = this.#directions
        .slice(0, MOST_DIRECTIONS)
        .flatMap((weights) => (goOn() ? (this.#source.cut(weights, group, 0) ?? []) : []));
      return [{ pools, cuts }];
    });
    return this.#grouped.some(({ pools, cuts }) => {
      const atOnce = atOnceOf(this.#problem, replicas, pools);
      return cuts.some(({ weights, bound }) => weighed(weights, atOnce) < bound * (1 - 1e-9));
    });
  }

  #grouped: { readonly pools: ReadonlySet<number>; readonly cuts: readonly Cut[] }[] | undefined;

  /** Whether devices with these calls at once on each kind are excluded by a known cut, or by a new one. */
  refutes(atOnce: readonly number[], goOn: () => boolean): boolean {
    const excludes = ({ weights, bound }: Cut) => weighed(weights, atOnce) < bound * (1 - 1e-9);
    if (this.#cuts.some(excludes)) return true;
    for (const { weights, group } of this.#tries) {
      if (!goOn()) return false;
      const cut = this.#source.cut(weights, group, weighed(weights, atOnce));
      if (cut === undefined) continue;
      this.#cuts.push(cut);
      if (excludes(cut)) return true;
    }
    return false;
  }
}

/** What each kind's devices with any pool of a group can do at once. */
function atOnceOf(problem: Problem, replicas: readonly Replica[], pools: ReadonlySet<number>): readonly number[] {
  const seen = new Set<number>();
  const sums = problem.kinds.map(() => 0);
  for (const { pool, devices } of replicas) {
    if (!pools.has(pool)) continue;
    for (const device of devices) {
      if (seen.has(device)) continue;
      seen.add(device);
      const cell = problem.cells[problem.cellOf[device] ?? 0];
      if (cell) sums[cell.kind] = (sums[cell.kind] ?? 0) + cell.concurrency;
    }
  }
  return sums;
}

const weighed = (weights: readonly number[], atOnce: readonly number[]): number =>
  weights.reduce((sum, weight, k) => sum + weight * (atOnce[k] ?? 0), 0);

/** Assignments are excluded by groups of few stages and the first price vectors: the others need more time than they save. */
const MOST_GROUPED = 2;
const MOST_DIRECTIONS = 4;

/** Enough for some dozens of rounds on every kind of device. */
const MOST_CUTS = 400;
