import { type Candidate, costOf } from './candidate.js';
import { firstDrafts, improve } from './improve.js';
import type { Judge } from './judge.js';
import { demandsLosses } from './losses.js';
import { mended } from './mend.js';
import { type Part, partOf } from './part-of-load.js';
import { perturbed } from './perturb.js';
import type { Problem } from './problem.js';

/** Simulations of a part, in those of the whole load that take as long, after which what was found is simulated with the whole load. */
const TRUSTED = 12;
/** The same, to mend one placement that missed the objective of the whole load. */
const MENDING = 5;
/** Reach from which it is mended: a part has few late runs, so that hardly later ones are many more. */
const NEAR = 0.2;
/** By how much less time a part must be served at least, once a placement that met its objective has missed that of the load. */
const TIGHTER = 0.97;
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
  #best: Candidate;
  #part: Part;
  /** Drafts, and placements that met the objective of a part and missed that of the load. */
  #starts: readonly Candidate[] = [];
  #turn = 0;
  #idle = 0;

  /** `start`: a placement that meets the objective. */
  constructor(problem: Problem, judge: Judge, start: Candidate) {
    this.#problem = problem;
    this.#judge = judge;
    this.#best = start;
    this.#part = partOf(problem, start, judge.see(start), 1);
  }

  /** The cheapest placement so far that meets the objective. */
  get best(): Candidate {
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
   */
  goOn(least: number, goOn: () => boolean, known = this.#best): void {
    if (this.#isCheaper(known)) this.#best = known;
    if (this.#turn === 0) this.#draft(goOn);
    while (!this.isSpent && this.#costs(this.#best) > least + 1e-9 && goOn()) {
      const { problem, judge, share } = this.#part;
      const until = judge.simulations + TRUSTED / share;
      const trusting = () => judge.simulations < until && goOn();
      const start = improve(problem, judge, this.#start(trusting), trusting);
      const starts = [start, ...this.#starts.slice(0, MOST_OTHERS)] as const;
      this.#take(perturbed(problem, judge, starts, least, trusting, this.#turn), goOn);
      this.#turn += 1;
    }
  }

  /** The drafts that meet the objective of the part. */
  #draft(goOn: () => boolean): void {
    const [first, ...others] = firstDrafts(this.#part.problem, this.#part.judge, goOn);
    this.#starts = others;
    if (first) this.#take(first, goOn);
    this.#turn = 1;
  }

  /** A placement that meets the objective of the part: the cheapest of the starts that does, or can be mended, else the best one so far. */
  #start(goOn: () => boolean): Candidate {
    const { problem, judge, share } = this.#part;
    const most = this.#costs(this.#best);
    const starts = this.#starts.filter((each) => this.#isCheaper(each)).sort((a, b) => this.#costs(a) - this.#costs(b));
    for (const [i, start] of starts.entries()) {
      const found = judge.holds(start) ? start : mended(problem, judge, start, most, MENDING / share, goOn, NEAR);
      if (found === undefined) continue;
      this.#starts = starts.slice(i + 1);
      return found;
    }
    this.#starts = [];
    return this.#best;
  }

  /** Takes a cheaper placement that meets the objective with the whole load, and makes the part fit it. */
  #take(next: Candidate, goOn: () => boolean): void {
    this.#idle += 1;
    if (!this.#isCheaper(next)) return;
    const survives = !demandsLosses(this.#problem) || this.#judge.holds(next);
    const seen = this.#judge.see(next);
    if (survives && seen.holds) {
      this.#best = next;
      this.#idle = 0;
      // The next part takes as long as a simulation.
      if (goOn()) this.#part = partOf(this.#problem, next, seen, Number.POSITIVE_INFINITY);
    } else {
      this.#starts = [next, ...this.#starts];
      this.#part = partOf(this.#problem, next, seen, TIGHTER * this.#part.slack);
    }
  }

  #costs(candidate: Candidate): number {
    return costOf(this.#problem, candidate);
  }

  #isCheaper(candidate: Candidate): boolean {
    return this.#costs(candidate) < this.#costs(this.#best) - 1e-9;
  }
}
