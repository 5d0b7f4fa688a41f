import { sleep, workflowInfo } from '@temporalio/workflow';

/**
 * Temporal accepts messages of 4 MiB; all commands of a workflow task travel in one. The rest is for small commands.
 */
const MOST_BYTES = 3_000_000;

/** Spreads large calls over several workflow tasks, because together they may exceed one message. */
export class MessageRoom {
  #historyLength = -1;
  #bytes = 0;
  #turn: Promise<void> = Promise.resolve();

  /** Resolves when the current task has room for a command of this size. */
  take(bytes: number): Promise<void> {
    const taken = this.#turn.then(() => this.#wait(bytes));
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  async #wait(bytes: number): Promise<void> {
    while (!this.#fits(bytes)) await sleep(1);
  }

  #fits(bytes: number): boolean {
    const { historyLength } = workflowInfo();
    if (historyLength !== this.#historyLength) {
      this.#historyLength = historyLength;
      this.#bytes = 0;
    }
    if (this.#bytes > 0 && this.#bytes + bytes > MOST_BYTES) return false;
    this.#bytes += bytes;
    return true;
  }
}
