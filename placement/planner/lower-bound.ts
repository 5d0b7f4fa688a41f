import { Assignments } from './assignments.js';
import { cheapest, type Relaxed } from './bound.js';
import type { Replica } from './candidate.js';
import { type Cut, Cuts } from './cuts.js';
import { directions, weighed } from './directions.js';
import type { NeededSpeed } from './needed-speed.js';
import type { Problem } from './problem.js';

/** The cuts of the placements on some kinds of devices. */
interface Source {
  readonly cuts: Cuts;
  readonly tries: readonly Try[];
  readonly assignments: Assignments;
}

interface Try {
  readonly weights: readonly number[];
  readonly needed: NeededSpeed;
}

/** Tightens the lower bound of the cost by cuts, step by step, while `goOn`. */
export class LowerBound {
  readonly #problem: Problem;
  readonly #prices: readonly number[];
  readonly #cuts: Cut[] = [];
  /** By the kinds of devices in use. */
  readonly #sources = new Map<string, Source>();
  readonly #whole: Source;
  #relaxed: Relaxed;

  constructor(problem: Problem) {
    this.#problem = problem;
    this.#prices = problem.kinds.map((_, kind) =>
      Math.min(
        ...problem.cells.flatMap((cell) =>
          // A free device is priced a little, so that it counts.
          cell.kind === kind ? [Math.max(cell.pricePerHour, 1e-3) / cell.capacity] : [],
        ),
      ),
    );
    this.#whole = this.#sourceOn(problem.kinds.map((_, kind) => kind));
    this.#relaxed = this.#whole.cuts.possible
      ? cheapest(problem)
      : { value: Number.POSITIVE_INFINITY, atOnce: problem.kinds.map(() => 0) };
  }

  get value(): number {
    return this.#relaxed.value;
  }

  /** Adds cuts until the cheapest devices satisfy all, the bound reaches `upTo`, or the time is up. */
  tighten(goOn: () => boolean, upTo: number): void {
    while (goOn() && this.value < upTo - 1e-9 && this.#cuts.length <= MOST_CUTS) {
      const { atOnce, value } = this.#relaxed;
      const cut = this.#violated(this.#whole, atOnce, goOn);
      if (cut === undefined) return;
      this.#cuts.push(cut);
      const next = cheapest(this.#problem, this.#cuts);
      // Numerically, and if it was not solved to its end, a relaxation with more cuts may be lower.
      this.#relaxed = { value: Math.max(next.value, value), atOnce: next.atOnce };
    }
  }

  /** Whether an assignment is excluded: the devices with a group's pools are too few for the group. */
  excludes(replicas: readonly Replica[]): boolean {
    const used = new Set<number>();
    for (const { devices } of replicas) {
      for (const device of devices) used.add(this.#problem.cells[this.#problem.cellOf[device] ?? 0]?.kind ?? 0);
    }
    const { cuts, assignments } = this.#sourceOn([...used].sort((a, b) => a - b));
    return !cuts.possible || assignments.excludes(replicas);
  }

  /** Whether devices with these calls at once on each kind are excluded by a known cut, or by a new one. */
  refutes(atOnce: readonly number[], goOn: () => boolean): boolean {
    if (this.#cuts.some(({ weights, bound }) => weighed(weights, atOnce) < bound * (1 - 1e-9))) return true;
    const cut = this.#violated(this.#sourceFor(atOnce), atOnce, goOn);
    if (cut === undefined) return false;
    this.#cuts.push(cut);
    return true;
  }

  /** A cut that devices with these calls at once do not satisfy. */
  #violated({ cuts, tries }: Source, atOnce: readonly number[], goOn: () => boolean): Cut | undefined {
    if (!cuts.possible) return cuts.cutOf(this.#prices, Number.POSITIVE_INFINITY);
    for (const { weights, needed } of tries) {
      const sum = weighed(weights, atOnce) * (1 + ROUNDING);
      if (!needed.isKnown(sum) && !goOn()) return undefined;
      const bound = needed.above(sum);
      if (bound !== undefined) return cuts.cutOf(weights, bound);
    }
    return undefined;
  }

  /** The cuts of the kinds of which there are any. */
  #sourceFor(atOnce: readonly number[]): Source {
    return this.#sourceOn(atOnce.flatMap((n, kind) => (n > LEAST_USED ? [kind] : [])));
  }

  #sourceOn(kinds: readonly number[]): Source {
    const key = kinds.join();
    const known = this.#sources.get(key);
    if (known) return known;
    const cuts = new Cuts(this.#problem, new Set(kinds));
    const weights = directions(this.#prices, kinds);
    const tried = (groups: readonly (readonly number[])[], neededBy: 'needed' | 'neededInBlocks') =>
      groups.flatMap((group) =>
        weights.flatMap((each): Try[] => {
          const needed = cuts[neededBy](each, group);
          return needed ? [{ weights: each, needed }] : [];
        }),
      );
    const tries = cuts.possible
      ? [
          ...tried(cuts.wholes(), 'needed'),
          ...tried(cuts.pipelines(), 'neededInBlocks'),
          ...tried(cuts.stretches(), 'needed'),
        ]
      : [];
    const source = { cuts, tries, assignments: new Assignments(this.#problem, cuts, weights) };
    this.#sources.set(key, source);
    return source;
  }
}

/** What a relaxation may be off by. */
const ROUNDING = 1e-6;

/** Of a kind with fewer devices there are none: relaxations are not exact. */
const LEAST_USED = 1e-6;

/** Enough for some dozens of rounds on every kind of device. */
const MOST_CUTS = 400;
