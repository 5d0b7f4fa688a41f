import type { Elicited, HeldQuestion } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import type { Answering } from './interpreter/index.js';

/**
 * Most questions that workers hold open in one run at a time; further ones are asked when one is answered. Temporal allows a run ten updates
 * that have not ended (`history.maxInFlightUpdates`), and decisions are updates too.
 */
const MOST_OPEN = 4;

/** Questions of calls that are open in workers, by the path of the call. */
export class HeldQuestions {
  readonly #calls = new Map<string, HeldCall>();
  #open = 0;

  /** Takes the questions of a call until it ends; those without an answer are then over. */
  async during<T>(path: string, answer: Answering, call: Promise<T>): Promise<T> {
    const held = new HeldCall(answer);
    this.#calls.set(path, held);
    try {
      return await call;
    } finally {
      this.#calls.delete(path);
      held.end();
    }
  }

  /** Throws `NOT_WAITING` if no such call is open, and `RATE_LIMITED` while too many questions are. */
  check({ path }: HeldQuestion): void {
    if (!this.#calls.has(path)) throw notOpen(path);
    if (this.#open >= MOST_OPEN)
      throw new StageError('RATE_LIMITED', `the run has ${this.#open} open questions: ask again later`);
  }

  /** The answer of a person, or `cancel`. Throws like `check`. */
  async ask(given: HeldQuestion): Promise<Elicited> {
    const held = this.#calls.get(given.path);
    if (!held) throw notOpen(given.path);
    this.#open += 1;
    try {
      return await held.ask(given);
    } finally {
      this.#open -= 1;
    }
  }
}

const notOpen = (path: string): StageError => new StageError('NOT_WAITING', `no call is open at "${path}"`);

/** A call that is open in a worker. Its next attempt knows nothing of what this one has asked. */
class HeldCall {
  readonly #answer: Answering;
  #attempt = 0;
  #over: () => void = () => undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(answer: Answering) {
    this.#answer = answer;
  }

  ask({ attempt, question }: HeldQuestion): Promise<Elicited> {
    if (attempt < this.#attempt) return Promise.resolve({ action: 'cancel' });
    if (attempt > this.#attempt) {
      this.#over();
      this.#attempt = attempt;
      this.#ended = new Promise((resolve) => {
        this.#over = resolve;
      });
    }
    return this.#answer(question, this.#ended);
  }

  end(): void {
    this.#over();
  }
}
