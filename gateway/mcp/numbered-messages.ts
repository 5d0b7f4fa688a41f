import type { RunEvent } from '../../pipelines/run/index.js';
import { isBehind } from '../../stores/events/index.js';
import { ProgressMessages } from './progress.js';

/** How far a client has been told of a call's run. */
export interface Told {
  /** Position of the last event of which all messages have been sent. Absent: before the first. */
  readonly after?: string | undefined;
  /** Messages sent of the next event that gives some. Absent: none. */
  readonly part?: number | undefined;
  /** Messages sent in all. */
  readonly progress: number;
}

/**
 * The progress messages of a call's run behind a place, each with the place behind it. They take the run's events from the first on, also where
 * earlier messages have been sent: a sentence may begin before the place and end behind it.
 */
export class NumberedMessages {
  readonly #messages = new ProgressMessages();
  #told: Told;

  constructor(told: Told) {
    this.#told = told;
  }

  /** The place behind the last message. */
  get told(): Told {
    return this.#told;
  }

  /** Counts a message that is of no event. */
  count(): Told {
    this.#told = { ...this.#told, progress: this.#told.progress + 1 };
    return this.#told;
  }

  /** @param at position of the event */
  *of(event: RunEvent, at: string): Generator<{ readonly message: string; readonly told: Told }> {
    const messages = [...this.#messages.of(event)];
    const { after, part = 0 } = this.#told;
    if (messages.length === 0 || (after !== undefined && !isBehind(at, after))) return;
    for (const [i, message] of messages.entries()) {
      const isLast = i === messages.length - 1;
      if (i < part) {
        if (isLast) this.#told = { after: at, progress: this.#told.progress };
        continue;
      }
      const { progress } = this.#told;
      this.#told = isLast
        ? { after: at, progress: progress + 1 }
        : { ...(after !== undefined && { after }), part: i + 1, progress: progress + 1 };
      yield { message, told: this.#told };
    }
  }
}
