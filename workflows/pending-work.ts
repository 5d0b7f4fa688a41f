import { CancellationScope, condition, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import type { Json } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { takes } from './changes.js';

/**
 * Temporal takes no more than 2,000 pending activities of a workflow, and as many pending child workflows: with one more the workflow task fails, each
 * time that it is tried. Some are pending there for longer than here: a workflow does not wait for the end of what it has cancelled.
 */
const MOST_PENDING = 1_500;

/** Of them, those that wait for what other work makes: with all places they would wait for ever. */
const MOST_READING = 1_000;

/** Begins work that is given the milliseconds that it has waited for its place; 0: it begins where it was asked for. */
export type Begin = <T>(work: (waitedMs: number) => Promise<T>) => Promise<T>;

/**
 * Places for the activities of a run, or for its child runs, so that no more are pending than Temporal takes. While there are places, work begins as if
 * there were no limit, in the same order and task; in histories from before the change it always does.
 */
export class PendingWork {
  readonly #waiting: Waiting[] = [];
  #pending = 0;
  #reading = 0;
  #begun = 0;
  #received = 0;
  #turn: Promise<void> = Promise.resolve();
  readonly #until: (holds: () => boolean) => Promise<void>;
  /** Loops that wait for their turn. */
  #turns = 0;
  /** Places of work that was cancelled in the workflow task of this length of the history: whether it reads. Temporal hears of that when the task ends. */
  readonly #cancelled: boolean[] = [];
  #cancelledAt = 0;
  #isWaking = false;
  readonly #nextTask: () => Promise<void>;

  /**
   * @param until resolves when a condition holds; rejects if the enclosing scope is cancelled before
   * @param nextTask resolves in a later workflow task
   */
  constructor(
    until: (holds: () => boolean) => Promise<void> = (holds) => condition(holds),
    nextTask: () => Promise<void> = () => CancellationScope.nonCancellable(() => sleep(1)),
  ) {
    this.#until = until;
    this.#nextTask = nextTask;
  }

  /** How much has a place, or waits for one. */
  get underWay(): number {
    return this.#pending + this.#waiting.length;
  }

  /** How often work has been asked to begin. */
  get begun(): number {
    return this.#begun;
  }

  /** Bytes of the results of work that has ended. */
  get received(): number {
    return this.#received;
  }

  /**
   * Begins work when it has a place, in the order in which it was asked for, and gives the place back when the work has ended. That of work that was
   * cancelled is given back in a later workflow task. Rejects with a cancellation if the enclosing scope is cancelled before.
   * @param reads the work waits for what other work makes
   */
  begin<T>(work: (waitedMs: number) => Promise<T>, reads = false): Promise<T> {
    this.#begun += 1;
    this.#giveBackCancelled();
    if (this.#hasPlace(reads) || !takes('pending-work-waits')) {
      this.#give(reads);
      return this.#hold(work, reads, 0);
    }
    const since = Date.now();
    return this.#place(reads).then(() => this.#hold(work, reads, Date.now() - since));
  }

  /**
   * Resolves when a loop may begin another item; undefined: at once. Items that begin while all places are taken would be under way without doing
   * anything, and have to end before the run can go on in a new history.
   * @param giveUp whether the loop has to stop: it then resolves too
   */
  turn(giveUp: () => boolean): Promise<void> | undefined {
    this.#giveBackCancelled();
    if (this.#hasPlace(false) || !takes('pending-work-waits')) return undefined;
    // One after the other: each begins its item before the next one looks.
    const waits = this.#turn.then(() => this.#until(() => this.#hasPlace(false) || giveUp()));
    this.#turns += 1;
    this.#wake();
    const turn = waits.finally(() => {
      this.#turns -= 1;
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #hasPlace(reads: boolean): boolean {
    return this.#pending < MOST_PENDING && !(reads && this.#reading >= MOST_READING);
  }

  #give(reads: boolean): void {
    this.#pending += 1;
    if (reads) this.#reading += 1;
  }

  #giveBack(reads: boolean): void {
    this.#pending -= 1;
    if (reads) this.#reading -= 1;
    for (;;) {
      const at = this.#waiting.findIndex((one) => this.#hasPlace(one.reads));
      const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (next === undefined) return;
      next.given = true;
      this.#give(next.reads);
    }
  }

  /** Keeps the place of work that was cancelled: together with the cancellation, Temporal would refuse what takes it. */
  #keep(reads: boolean): void {
    this.#giveBackCancelled();
    this.#cancelledAt = workflowInfo().historyLength;
    this.#cancelled.push(reads);
    this.#wake();
  }

  #giveBackCancelled(): void {
    if (this.#cancelled.length === 0 || workflowInfo().historyLength <= this.#cancelledAt) return;
    for (const reads of this.#cancelled.splice(0)) this.#giveBack(reads);
  }

  /** Where something waits for such a place a timer gives it back: the end of cancelled work is no reason for Temporal to go on with the workflow. */
  #wake(): void {
    if (this.#isWaking || this.#cancelled.length === 0 || this.#waiting.length + this.#turns === 0) return;
    this.#isWaking = true;
    void this.#nextTask().then(() => {
      this.#isWaking = false;
      this.#giveBackCancelled();
      this.#wake();
    });
  }

  async #place(reads: boolean): Promise<void> {
    const own: Waiting = { reads, given: false };
    this.#waiting.push(own);
    this.#wake();
    try {
      await this.#until(() => own.given);
    } catch (error) {
      // It may have been given a place at the same moment.
      if (own.given) this.#giveBack(reads);
      else this.#waiting.splice(this.#waiting.indexOf(own), 1);
      throw error;
    }
  }

  #hold<T>(work: (waitedMs: number) => Promise<T>, reads: boolean, waitedMs: number): Promise<T> {
    const giveBack = () => this.#giveBack(reads);
    try {
      const result = work(waitedMs);
      const received = (value: T) => {
        this.#received += bytesOf(value as Json);
        giveBack();
      };
      result.then(received, (error: unknown) => (isCancellation(error) ? this.#keep(reads) : giveBack()));
      return result;
    } catch (error) {
      giveBack();
      throw error;
    }
  }
}

interface Waiting {
  readonly reads: boolean;
  given: boolean;
}
