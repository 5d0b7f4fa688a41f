import { MillraceError } from '../../pipelines/errors.js';

/** JSON of a server that is nested deeper is refused: its readers are recursive. */
export const DEEPEST = 64;
/** Most objects, lists and members: one takes up to a hundred bytes once it is parsed, and two or three in the text. */
const MOST_PARTS = 2_000_000;

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
const COLON = 0x3a;
const LIST = 0x5b;
const BACKSLASH = 0x5c;
const END_OF_LIST = 0x5d;
const OBJECT = 0x7b;
const END_OF_OBJECT = 0x7d;

/** What a server's JSON will be once it is parsed, told from its bytes while they arrive. */
export class AnswerShape {
  #parts = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;
  readonly #deepest: number;

  /** @param deepest levels that it may have */
  constructor(deepest = DEEPEST) {
    this.#deepest = deepest;
  }

  /** Throws `BACKEND_REJECTED` for JSON that would fill the memory, and `INVALID_OUTPUT` for what is nested too deep. */
  push(bytes: Uint8Array): void {
    let [parts, depth, inText, escaped] = [this.#parts, this.#depth, this.#inText, this.#escaped];
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (inText) {
        // No text of JSON has a line break: it is none, or a line of an event that is no data.
        if (byte === LINE_FEED || byte === RETURN) [inText, escaped] = [false, false];
        else if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inText = false;
      } else if (byte === QUOTE) inText = true;
      else if (byte === COLON) parts += 1;
      else if (byte === LIST || byte === OBJECT) {
        parts += 1;
        if (++depth > this.#deepest)
          throw new MillraceError('INVALID_OUTPUT', `the answer is nested more than ${this.#deepest} deep`);
      } else if (byte === END_OF_LIST || byte === END_OF_OBJECT) depth -= 1;
    }
    if (parts > MOST_PARTS)
      throw new MillraceError('BACKEND_REJECTED', `the answer has more than ${MOST_PARTS} objects, lists and members`);
    [this.#parts, this.#depth, this.#inText, this.#escaped] = [parts, depth, inText, escaped];
  }
}
