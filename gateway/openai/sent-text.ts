import { MillraceError } from '../../pipelines/errors.js';

/**
 * The text that a client has been sent. A stage that is retried produces its text from the start: text that was sent
 * already is skipped. Cost is linear in the length of the deltas.
 */
export class SentText {
  readonly #mayDiffer: boolean;
  /** The text differs from what was sent: the rest of it is not sent. */
  #differs = false;
  /** An attempt began behind text that was sent. */
  #isRepeated = false;
  #sent = '';
  /** Position of the current attempt in the text. */
  #at = 0;

  /** @param mayDiffer the client gets the whole at the end: `add` and `end` return no more of a text that differs, and do not throw */
  constructor(mayDiffer = false) {
    this.#mayDiffer = mayDiffer;
  }

  get sent(): string {
    return this.#sent;
  }

  /** The current attempt's text so far. */
  get attempt(): string {
    return this.#sent.slice(0, this.#at);
  }

  /** Starts the next attempt. */
  begin(): void {
    this.#isRepeated ||= this.#sent !== '';
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
    return this.#told(this.next(delta));
  }

  /** Like `rest`. Throws `BACKEND_ERROR` if it differs. */
  end(whole: string): string {
    return this.#told(this.rest(whole));
  }

  #told(text: string | undefined): string {
    if (text !== undefined && !this.#differs) return text;
    if (!this.#mayDiffer) throw this.#another();
    this.#differs = true;
    return '';
  }

  #another(): MillraceError {
    const sent = `${this.#sent.length} characters`;
    const message = this.#isRepeated
      ? `an attempt failed after ${sent}, and the text of the next attempt differs`
      : `the whole text differs from the ${sent} of it that were sent`;
    return new MillraceError('BACKEND_ERROR', message);
  }
}
