import { workflowInfo } from '@temporalio/workflow';

/** Results that the workflow is given in one task before further local activities wait for the next one, in bytes. */
const MOST_PASSED_ON = 400_000;

/** Longest result of a local activity that runs alone, and what several share, in bytes. */
const ALONE = 200_000;
const SHARED = 160_000;
/** Each of this many has that much at least, in bytes; each further one has less. */
const LANES = { most: 64, bytes: 13_000 };
const SMALLEST = 2_000;

/**
 * Longest result, in bytes, of a local activity that begins beside others: how large theirs will be is known only when they are there. Those of 64
 * have 1.2 MB together at most, those of 256 have 1.6 MB.
 * @param many those whose results the workflow has not been given yet, this one included
 */
export function mostBytesOf(many: number): number {
  if (many > LANES.most) return SMALLEST;
  return many === 1 ? ALONE : Math.max(LANES.bytes, Math.floor(SHARED / many));
}

/** What the results of local activities take of the message of the current workflow task. */
export class ResultRoom {
  #historyLength = -1;
  #passedOn = 0;

  /** The workflow is given a result of this size, in bytes. */
  passOn(bytes: number): void {
    this.#observe();
    this.#passedOn += bytes;
  }

  /**
   * Whether the results of the current workflow task leave no room for many more. The same in a replay, since results are passed on in one order,
   * in the task whose message has them: commands may depend on it.
   */
  get full(): boolean {
    this.#observe();
    return this.#passedOn >= MOST_PASSED_ON;
  }

  #observe(): void {
    const { historyLength } = workflowInfo();
    if (historyLength === this.#historyLength) return;
    this.#historyLength = historyLength;
    this.#passedOn = 0;
  }
}
