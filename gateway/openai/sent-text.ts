import { MillraceError } from '../../pipelines/errors.js';

/**
 * The text that a client has been sent. A stage that is retried produces its text from the start: text that was sent
 * already is skipped. Cost is linear in the length of the deltas.
 */
export class SentText {
  #sent = '';
  /** Position of the current attempt in the text. */
  #at = 0;

  get sent(): string {
    return this.#sent;
  }

  /** The current attempt's text so far. */
  get attempt(): string {
    return this.#sent.slice(0, this.#at);
  }

  /** Starts the next attempt. */
  begin(): void {
    this.#at = 0;
  }

  /** The new part of a delta; undefined, and nothing changes, if the text differs from what was sent. */
  next(delta: string): string | undefined {
    const again = Math.min(delta.length, this.#sent.length - this.#at);
    if (again > 0 && !this.#sent.startsWith(delta.slice(0, again), this.#at)) return undefined;
    this.#at += delta.length;
    const rest = again > 0 ? delta.slice(again) : delta;
    this.#sent += rest;
    return rest;
  }

  /** The part of the whole text that was not sent yet; undefined if it differs. */
  rest(whole: string): string | undefined {
    if (!whole.startsWith(this.#sent)) return undefined;
    const rest = whole.slice(this.#sent.length);
    this.#sent = whole;
    this.#at = whole.length;
    return rest;
  }

  /** Like `next`. Throws `BACKEND_ERROR` if the text differs. */
  add(delta: string): string {
    return this.next(delta) ?? this.#another();
  }

  /** Like `rest`. Throws `BACKEND_ERROR` if it differs. */
  end(whole: string): string {
    return this.rest(whole) ?? this.#another();
  }

  #another(): never {
    const message = `an attempt failed after ${this.#sent.length} characters, and the text of the next attempt differs`;
    throw new MillraceError('BACKEND_ERROR', message);
  }
}
