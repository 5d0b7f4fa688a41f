import { MillraceError } from '../../pipelines/errors.js';

/**
 * The text that a client has been sent. A stage that is retried produces its text from the start: text that was sent
 * already is skipped, and a text that differs from it is an error. Cost is linear in the length of the deltas.
 */
export class SentText {
  #sent = '';
  /** Position of the current attempt in the text. */
  #at = 0;

  /** Starts the next attempt. */
  begin(): void {
    this.#at = 0;
  }

  /** The new part of a delta. Throws `BACKEND_ERROR` if the text differs. */
  add(delta: string): string {
    const again = Math.min(delta.length, this.#sent.length - this.#at);
    if (again > 0 && !this.#sent.startsWith(delta.slice(0, again), this.#at)) throw this.#another();
    this.#at += delta.length;
    const rest = again > 0 ? delta.slice(again) : delta;
    this.#sent += rest;
    return rest;
  }

  /** The part of the whole text that was not sent yet. */
  end(whole: string): string {
    if (!whole.startsWith(this.#sent)) throw this.#another();
    const rest = whole.slice(this.#sent.length);
    this.#sent = whole;
    this.#at = whole.length;
    return rest;
  }

  #another(): MillraceError {
    const message = `an attempt failed after ${this.#sent.length} characters, and the text of the next attempt differs`;
    return new MillraceError('BACKEND_ERROR', message);
  }
}
