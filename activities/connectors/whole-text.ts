/** What decoders write for the bytes of a character of which the rest is still to come. */
const INCOMPLETE = 0xfffd;

/**
 * What is new in a text of which each response has all so far. A response may change the end of the one before: what clients have been
 * given cannot be taken back, so nothing more is new until a response continues that. The whole counts at the end.
 */
export class WholeText {
  #given = '';

  /** What was new so far. */
  get given(): string {
    return this.#given;
  }

  /** What is new in all so far. Replacement characters (U+FFFD) at its end are held back: the next response may have the character. */
  next(text: string): string {
    let end = text.length;
    while (end > 0 && text.charCodeAt(end - 1) === INCOMPLETE) end -= 1;
    return this.last(text.slice(0, end));
  }

  /** What is new in the last response. */
  last(text: string): string {
    if (!text.startsWith(this.#given)) return '';
    const more = text.slice(this.#given.length);
    this.#given = text;
    return more;
  }
}
