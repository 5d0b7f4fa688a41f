import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StageCall } from '../../pipelines/run/index.js';

/** Calls that have begun and whose outcome is not yet in the journal. */
export class CallsUnderWay {
  /** With the limit of an attempt, in milliseconds. */
  readonly #calls = new Map<StageCall, number>();
  #waiting: (() => void)[] = [];
  #hasBegun = false;
  /** Whether calls were left to another process, since this one has no time left for them. */
  ranOut = false;

  /** Whether any call has begun. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** A stage that reads a stream waits for another one: that one counts, and it goes on elsewhere behind what it has made. */
  begun(call: StageCall, attemptMs: number): void {
    this.#hasBegun = true;
    if (!call.reads) this.#calls.set(call, attemptMs);
  }

  left(call: StageCall): void {
    this.#calls.delete(call);
    if (this.#calls.size > 0) return;
    for (const go of this.#waiting) go();
    this.#waiting = [];
  }

  /** Whether a call makes a stream, and may take longer than this, in milliseconds. */
  streamsFor(ms: number): boolean {
    return [...this.#calls].some(([{ writes }, attemptMs]) => writes !== undefined && attemptMs > ms);
  }

  /** Whether no call is running, and none follows immediately from one that has just ended. */
  async quiet(): Promise<boolean> {
    if (this.#calls.size === 0) await nextTurn();
    return this.#calls.size === 0;
  }

  /** Resolves when no call is running, the interpreter has processed their results, in the same turn of the event loop, and none has followed. */
  async none(): Promise<void> {
    do {
      if (this.#calls.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await nextTurn();
    } while (this.#calls.size > 0);
  }
}
