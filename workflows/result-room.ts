import { workflowInfo } from '@temporalio/workflow';
import { SMALL_BYTES } from '../pipelines/json-limits.js';

/**
 * For results of one workflow task that are not small, without those that come alone; and what all that have been passed on may be before further
 * local activities wait for the next task. `MessageRoom` says what else is in the message.
 */
const MOST_BYTES = 600_000;
/** The part of what is left that one may return: if no other local activity runs, and otherwise. */
const SHARE = { only: 2, others: 8 };

/** What the result of a local activity may take of the message of its workflow task. */
export interface ResultPlace {
  /** Longest result, in bytes. */
  readonly bytes: number;
  /** It has ended, with a result of this size. */
  end(bytes: number): void;
}

/**
 * Divides the room for results of local activities among those that end in one workflow task: how large each will be is known only when it is
 * there. What it says goes into the arguments of local activities, of which a history has nothing, so it may be another one in a replay.
 */
export class ResultRoom {
  #historyLength = -1;
  /** Bytes of results that have come in the current workflow task. */
  #come = 0;
  /** Bytes of results that the workflow has been given in the current task, small ones too. */
  #passedOn = 0;
  /** Bytes that those that run may return. */
  #open = 0;
  #running = 0;

  begin(): ResultPlace {
    this.#observe();
    const left = MOST_BYTES - this.#come - this.#open;
    const share = this.#running === 0 ? SHARE.only : SHARE.others;
    const bytes = Math.max(SMALL_BYTES, Math.floor(left / share));
    this.#open += counted(bytes);
    this.#running += 1;
    return {
      bytes,
      end: (come) => {
        this.#observe();
        this.#open -= counted(bytes);
        this.#running -= 1;
        this.#come += counted(come);
      },
    };
  }

  /** The workflow is given a result of this size. */
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
    return this.#passedOn >= MOST_BYTES;
  }

  #observe(): void {
    const { historyLength } = workflowInfo();
    if (historyLength === this.#historyLength) return;
    this.#historyLength = historyLength;
    this.#come = 0;
    this.#passedOn = 0;
  }
}

const counted = (bytes: number): number => (bytes > SMALL_BYTES ? bytes : 0);
