import type { Json } from '../../pipelines/json.js';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';
import type { Clock, Timer } from '../../runtime/clock.js';

/** Divides a text that arrives in parts into the entries of a channel. Joined, its entries are the text. */
export interface TextSink {
  push(text: string): void;
  /** Adds nothing more by itself; returns the entries that remain. */
  end(): Json[];
}

type Add = (...entries: string[]) => void;

/**
 * How long a text that reads as a whole sentence waits for what would show that it is none, in milliseconds: tokens of a
 * slow model come every 100 ms.
 */
export const SETTLE_MS = 300;

/**
 * Longest wait for the end of a sentence after its first word, in milliseconds; then it is cut at a clause or a word. A
 * listener takes a pause of two seconds for the end.
 */
export const LONGEST_WAIT_MS = 2_500;

/** Sentences, each as soon as its end is certain. */
export class SentenceSink implements TextSink {
  readonly #splitter = new SentenceSplitter();
  readonly #clock: Clock;
  readonly #add: Add;
  #settling: Timer | undefined;
  #forcing: Timer | undefined;

  constructor(clock: Clock, add: Add) {
    this.#clock = clock;
    this.#add = add;
  }

  push(text: string): void {
    const pieces = this.#splitter.push(text);
    if (pieces.length > 0) this.#take(pieces);
    this.#settling?.clear();
    if (this.#splitter.pending.trim() === '') return;
    this.#settling = this.#clock.timer(SETTLE_MS, () => {
      const piece = this.#splitter.settle();
      if (piece !== undefined) this.#take([piece]);
    });
    this.#forcing ??= this.#clock.timer(LONGEST_WAIT_MS, () => this.#force());
  }

  end(): Json[] {
    this.#settling?.clear();
    this.#forcing?.clear();
    return this.#splitter.end();
  }

  #force(): void {
    const piece = this.#splitter.force();
    this.#forcing = undefined;
    if (piece !== undefined) this.#take([piece]);
    if (this.#splitter.pending.trim() !== '') this.#forcing = this.#clock.timer(LONGEST_WAIT_MS, () => this.#force());
  }

  #take(pieces: string[]): void {
    this.#forcing?.clear();
    this.#forcing = undefined;
    this.#add(...pieces);
  }
}

/** Text deltas, those of `GATHER_MS` in one entry. */
export class TokenSink implements TextSink {
  readonly #clock: Clock;
  readonly #add: Add;
  #held = '';
  #timer: Timer | undefined;

  constructor(clock: Clock, add: Add) {
    this.#clock = clock;
    this.#add = add;
  }

  push(text: string): void {
    this.#held += text;
    this.#timer ??= this.#clock.timer(GATHER_MS, () => {
      this.#timer = undefined;
      const held = this.#held;
      this.#held = '';
      if (held !== '') this.#add(held);
    });
  }

  end(): Json[] {
    this.#timer?.clear();
    return this.#held === '' ? [] : [this.#held];
  }
}

/** A write per token would be thousands of round trips; a reader does not notice this delay, in milliseconds. */
const GATHER_MS = 40;
