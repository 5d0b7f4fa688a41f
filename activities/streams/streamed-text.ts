/** Thrown if an answer differs from what readers already have. */
export class Diverged extends Error {}

/** Thrown if an attempt ends with another text than it has passed on. */
export class Revised extends Diverged {}

/**
 * The text of an answer of which readers already have the beginning: it passes on only what is new. An attempt either
 * continues that beginning, or gives the whole answer again, of which the beginning is then dropped where it is the same.
 */
export class StreamedText {
  readonly #committed: string;
  readonly #emit: (text: string) => void;
  #text: string;
  /** The attempt's own text while it repeats the beginning. */
  #repeated = '';
  #continues = false;
  /**
   * Of a continuation: what a server that repeats the beginning, as llama.cpp does, would send first; and what it has
   * sent of that. Undefined once it is known.
   */
  #echo: { readonly of: string; sent: string } | undefined;
  /** White space at the end of the beginning, which the continuation may repeat. */
  #space = '';
  /** Length of the white space at the end of the text, and the part of it that is held back. */
  #run = 0;
  #held = '';

  /** @param emit receives new text, in order; never what readers have */
  constructor(committed: string, emit: (text: string) => void) {
    this.#committed = committed;
    this.#text = committed;
    this.#emit = emit;
    if (committed.trim() === '') this.#run = MOST_SPACE;
  }

  /** Everything so far: the beginning and what follows it. */
  get text(): string {
    return this.#text;
  }

  /** The attempt continues the beginning without its white space at the end. */
  continues(): void {
    this.#continues = true;
    const given = this.#committed.trimEnd();
    this.#space = this.#committed.slice(given.length);
    this.#echo = { of: given, sent: '' };
  }

  /** More of the attempt's text. Throws `Diverged`. */
  push(delta: string): void {
    if (this.#continues) {
      this.#addAfterEcho(delta);
      return;
    }
    const left = this.#committed.length - this.#repeated.length;
    if (left > 0) {
      const part = delta.slice(0, left);
      this.#repeated += part;
      if (!this.#committed.startsWith(this.#repeated)) throw new Diverged();
    }
    this.#add(delta.slice(Math.max(0, left)));
  }

  /** The attempt has ended, with this behind what was pushed of its own text. Throws `Diverged`. */
  end(rest: string): void {
    this.push(rest);
    if (this.#echo) this.#follow(this.#echo.sent);
    if (!this.#continues && this.#repeated.length < this.#committed.length) throw new Diverged();
    this.#pass(this.#held);
  }

  #addAfterEcho(delta: string): void {
    const echo = this.#echo;
    if (!echo) {
      this.#follow(delta);
      return;
    }
    echo.sent += delta;
    if (echo.sent.length < echo.of.length && echo.of.startsWith(echo.sent)) return;
    this.#echo = undefined;
    this.#follow(echo.sent.startsWith(echo.of) ? echo.sent.slice(echo.of.length) : echo.sent);
  }

  /** What follows the beginning without its white space. */
  #follow(text: string): void {
    this.#echo = undefined;
    const same = commonPrefix(this.#space, text);
    this.#space = same === text.length ? this.#space.slice(same) : '';
    this.#add(text.slice(same));
  }

  #add(text: string): void {
    if (text === '') return;
    this.#text += text;
    const words = text.trimEnd();
    if (words === '') {
      this.#run += text.length;
      if (this.#run > MOST_SPACE) this.#held += text;
      else this.#pass(text);
      return;
    }
    this.#run = text.length - words.length;
    const whole = this.#run <= MOST_SPACE;
    const held = this.#held;
    this.#held = whole ? '' : text.slice(words.length);
    this.#pass(`${held}${whole ? text : words}`);
  }

  #pass(text: string): void {
    if (text !== '') this.#emit(text);
  }
}

/**
 * Longest white space that is passed on before the word behind it, in UTF-16 units; before the first word none is. A server that
 * sends nothing else any more has not gone on, and the attempt after it need not repeat that.
 */
const MOST_SPACE = 64;

function commonPrefix(a: string, b: string): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1;
  return at;
}
