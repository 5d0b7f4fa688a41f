import { type Candidate, costOf } from './candidate.js';
import { firstDrafts, improve } from './improve.js';
import type { Judge } from './judge.js';
import { mended } from './mend.js';
import { busiestPart, measured, type Part, partOf } from './part-of-load.js';
import { perturbed } from './perturb.js';
import type { Problem } from './problem.js';

/** Simulations of a part, in those of the whole load that take as long, after which what was found is simulated with the whole load. */
const TRUSTED = 5;
/** The same, to mend one placement that missed the objective of the whole load. */
const MENDING = 4;
/** Reach from which it is mended: a part has few late runs, so that hardly later ones are many more. */
const NEAR = 0.2;
/** By how much less time a part must be served each time that a placement which met its objective has missed that of the load. */
const TIGHTER = 0.98;
/** Turns in a row without a cheaper placement, after which parts find no more. */
const MOST_IDLE = 4;
/** Placements that the random search also starts from. */
const MOST_OTHERS = 3;

/**
 * Makes a placement of a long load cheaper, as `improve` and `perturbed` do, with a part of the load, so that many more placements are tried in the same time.
 * What is found is simulated with the whole load before it is taken. If it misses the objective, it is mended until it meets a tighter one of the part.
 */
export class SearchByParts {
  readonly #problem: Problem;
  readonly #judge: Judge;
  #best: Candidate | undefined;
  #part: Part;
  /** Makes the part fit the placement that was last simulated with the whole load. */
  #refitted: (() => Part) | undefined;
  /** Placements that met the objective of a part, and may be mended where they missed that of the load. */
  #promising: readonly Candidate[] = [];
  /** Drafts that the random search also starts from. */
  #drafts: readonly Candidate[] | undefined;
  #turn = 0;
  #idle = 0;

  constructor(problem: Problem, judge: Judge) {
    this.#problem = problem;
    this.#judge = judge;
    this.#part = busiestPart(problem);
  }

  /** The cheapest placement so far that meets the objective. */
  get best(): Candidate | undefined {
    return this.#best;
  }

  /** Whether it has found nothing cheaper for so long that it will not. */
  get isSpent(): boolean {
    return this.#idle >= MOST_IDLE;
  }

  /**
   * Searches placements that cost less, but not less than `least`.
   *
   * @param known a placement that meets the objective
   * @param isEnough whether to stop at a placement
   */
  goOn(least: number, goOn: () => boolean, known = this.#best, isEnough = (_: Candidate) => false): void {
    if (known && this.#isCheaper(known)) this.#best = known;
    if (this.#drafts === undefined) {
      const [first, ...others] = firstDrafts(this.#part.problem, this.#part.judge, goOn);
      this.#drafts = others.slice(0, MOST_OTHERS);
      this.#promising = others;
      if (first) this.#take(first);
    }
    const isOver = (best = this.#best) => best !== undefined && (this.#costs(best) <= least + 1e-9 || isEnough(best));
    while (!this.isSpent && !isOver() && goOn()) {
      this.#part = this.#refitted?.() ?? this.#part;
      this.#refitted = undefined;
      const { problem, judge, share } = this.#part;
      const until = judge.simulations + TRUSTED / share;
      const trusting = () => judge.simulations < until && goOn();
      const start = this.#start(trusting);
      const improved = start && improve(problem, judge, start, trusting);
      const next = improved && perturbed(problem, judge, [improved, ...this.#drafts], least, trusting, this.#turn);
      this.#turn += 1;
      this.#idle = next && this.#take(next) ? 0 : this.#idle + 1;
    }
  }

  /** Where a turn starts: at the cheapest promising placement, mended until it meets the objective of the part, else at the best one. */
  #start(goOn: () => boolean): Candidate | undefined {
    const { problem, judge, share } = this.#part;
    const below = this.#best ? this.#costs(this.#best) : Number.POSITIVE_INFINITY;
    const promising = this.#promising
      .filter((each) => this.#isCheaper(each))
      .sort((a, b) => this.#costs(a) - this.#costs(b));
    for (const [i, each] of promising.entries()) {
      const found = judge.holds(each) ? each : mended(problem, judge, each, below, MENDING / share, goOn, NEAR);
      if (found === undefined && goOn()) continue;
      // What could not be mended in the time is mended in another turn.
      this.#promising = promising.slice(found ? i + 1 : i);
      return found ?? this.#best;
    }
    this.#promising = [];
    return this.#best;
  }

  /** Takes a cheaper placement if it meets the objective with the whole load. The next part is one that fits it. */
  #take(next: Candidate): boolean {
    if (!this.#isCheaper(next)) return false;
    const seen = this.#judge.see(next);
    const whole = measured(seen);
    const { holds } = seen;
    if (holds) this.#best = next;
    else this.#promising = [next, ...this.#promising];
    const tightened = holds ? 1 : TIGHTER * this.#part.tightened;
    this.#refitted = () => partOf(this.#problem, next, whole, tightened);
    return holds;
  }

  #costs(candidate: Candidate): number {
    return costOf(this.#problem, candidate);
  }

  #isCheaper(candidate: Candidate): boolean {
    return this.#best === undefined || this.#costs(candidate) < this.#costs(this.#best) - 1e-9;
  }
}
