import { MillraceError } from '../../pipelines/errors.js';

/**
 * What a client has been sent of a text. A stage that is tried again begins its text again: what was sent is not sent twice, and a
 * text that goes on in another way cannot be sent. Each delta costs its own length.
 */
export class ToldText {
  #told = '';
  /** How much of the text the current attempt has given. */
  #at = 0;

  /** Another attempt begins. */
  begin(): void {
    this.#at = 0;
  }

  /** What of a delta is new. Throws `BACKEND_ERROR` for a text that is another one. */
  add(delta: string): string {
    const again = Math.min(delta.length, this.#told.length - this.#at);
    if (again > 0 && !this.#told.startsWith(delta.slice(0, again), this.#at)) throw this.#another();
    this.#at += delta.length;
    const rest = again > 0 ? delta.slice(again) : delta;
    this.#told += rest;
    return rest;
  }

  /** What the whole text has beyond what was sent. */
  end(whole: string): string {
    if (!whole.startsWith(this.#told)) throw this.#another();
    const rest = whole.slice(this.#told.length);
    this.#told = whole;
    this.#at = whole.length;
    return rest;
  }

  #another(): MillraceError {
    const message = `an attempt failed after ${this.#told.length} characters, and the text of the next attempt differs`;
    return new MillraceError('BACKEND_ERROR', message);
  }
}
