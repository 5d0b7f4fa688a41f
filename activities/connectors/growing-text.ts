import { between } from './between-texts.js';

/**
 * The text of one part of a transcript as it continues what stands before, emitted as it grows. A hypothesis that changes what was
 * emitted already is emitted no further: its whole counts at the end.
 */
export class GrowingText {
  readonly #before: string;
  readonly #emit: (text: string) => void;
  #emitted = '';

  constructor(before: string, emit: (text: string) => void) {
    this.#before = before;
    this.#emit = emit;
  }

  /** What the part says by now, from its start. Returns it as it continues what stands before. */
  is(all: string): string {
    const trimmed = all.trim();
    const text = `${between(this.#before, trimmed)}${trimmed}`;
    if (text.startsWith(this.#emitted) && text !== this.#emitted) {
      this.#emit(text.slice(this.#emitted.length));
      this.#emitted = text;
    }
    return text;
  }

  /** As `is`, of the whole part. A part without speech is emitted as an empty text: a sign of life. */
  ends(all: string): string {
    const text = this.is(all);
    if (this.#emitted === '') this.#emit(text);
    return text;
  }
}
