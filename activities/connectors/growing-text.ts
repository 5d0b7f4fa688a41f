import { between } from './between-texts.js';
import { WholeText } from './whole-text.js';

/**
 * The text of one part of a transcript as it continues what stands before, emitted as it grows. A hypothesis that changes what was
 * emitted already is emitted no further: its whole counts at the end.
 */
export class GrowingText {
  readonly #before: string;
  readonly #emit: (text: string) => void;
  readonly #text = new WholeText();

  constructor(before: string, emit: (text: string) => void) {
    this.#before = before;
    this.#emit = emit;
  }

  /** What the part says by now, from its start. */
  is(all: string): void {
    const more = this.#text.next(this.#behind(all));
    if (more !== '') this.#emit(more);
  }

  /** The whole part; returns it as it continues what stands before. A part without speech is emitted as an empty text: a sign of life. */
  ends(all: string): string {
    const text = this.#behind(all);
    const more = this.#text.last(text);
    if (more !== '' || this.#text.given === '') this.#emit(more);
    return text;
  }

  #behind(all: string): string {
    const trimmed = all.trim();
    return `${between(this.#before, trimmed)}${trimmed}`;
  }
}
