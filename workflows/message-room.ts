import { sleep, workflowInfo } from '@temporalio/workflow';
import { takes } from './changes.js';

/**
 * Temporal accepts messages of 4 MiB. One has all commands of a workflow task, and the results of the local activities that have ended in it:
 * commands have 1.5 MB together, of which a single one may have more; the worker returns no more than 2 MB of results (`ResultPace`).
 */
const MOST_BYTES = 1_500_000;
/** In histories from before the change, which left no room for results, and counted only inputs that are not small. */
const MOST_BYTES_BEFORE = 3_000_000;

/** Spreads commands over several workflow tasks, because together they may exceed one message. */
export class MessageRoom {
  #historyLength = -1;
  #bytes = 0;
  #all = 0;
  /** What earlier releases count of it. */
  #bytesBefore = 0;
  #turn: Promise<void> = Promise.resolve();

  /** Bytes of all commands of this history. */
  get all(): number {
    return this.#all;
  }

  /**
   * Resolves when the current task has room for a command of this size.
   * @param before what of it earlier releases count
   */
  take(bytes: number, before = bytes): Promise<void> {
    return this.#inTurn(() => this.#fits(bytes, before));
  }

  /** The same of a command that earlier releases do not count. Undefined: there is room at once. */
  takeUncounted(bytes: number): Promise<void> | undefined {
    const fits = () => this.#fits(bytes, 0);
    return fits() ? undefined : this.#inTurn(fits);
  }

  #inTurn(fits: () => boolean): Promise<void> {
    const taken = this.#turn.then(() => this.#wait(fits));
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  async #wait(fits: () => boolean): Promise<void> {
    while (!fits()) await sleep(1);
  }

  #fits(bytes: number, before: number): boolean {
    const { historyLength } = workflowInfo();
    if (historyLength !== this.#historyLength) {
      this.#historyLength = historyLength;
      this.#bytes = 0;
      this.#bytesBefore = 0;
    }
    if (isFull(this.#bytes, bytes, MOST_BYTES)) {
      if (before > 0 && isFull(this.#bytesBefore, before, MOST_BYTES_BEFORE)) return false;
      if (takes('large-commands-leave-room')) return false;
    }
    this.#bytes += bytes;
    this.#all += bytes;
    this.#bytesBefore += before;
    return true;
  }
}

const isFull = (used: number, more: number, most: number): boolean => used > 0 && used + more > most;
