import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { MOST_LEVELS, MOST_VALUES } from './input-size.js';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const LIST = 0x5b;
const BACKSLASH = 0x5c;
const END_OF_LIST = 0x5d;
const OBJECT = 0x7b;
const END_OF_OBJECT = 0x7d;

/** Most levels of a text: those of an input, and as many for what a protocol puts around it. */
const MOST_DEPTH = 2 * MOST_LEVELS;

/** Bytes after an escaped quote that are looked at one by one: to search for a quote costs as much as some fifty of them. */
const NEAR = 64;

interface Expected {
  /** Whether the error of too many values names the field of the object that has them. */
  readonly names?: boolean;
  /** Most bytes outside of strings; no limit if absent. */
  readonly mostOutside?: number;
}

/**
 * Counts the values of JSON texts before they are parsed: `{},` takes twenty times as much memory once it is an object, and code of others that
 * reads a value by recursion overflows the stack. One for all texts of a request: a body may have thousands of them within it, such as the
 * arguments of calls.
 */
export class ModestJson {
  // Each list and each object, empty ones included, and each comma within them: at most two for a value.
  #left = 2 * MOST_VALUES;
  // In JSON a comma or a bracket is followed by two strings at most, a key and its value. A text that is no JSON may have more.
  #strings = 4 * MOST_VALUES;

  /**
   * Throws `INVALID_INPUT` for a text with which there are more values, or more levels, than `expectModest` accepts, and `BODY_TOO_LARGE` for
   * more than `mostOutside`. What is accepted here may still have more than it may.
   */
  expect(bytes: Buffer, path: string, { names = false, mostOutside = Number.POSITIVE_INFINITY }: Expected = {}): void {
    let left = this.#left;
    let strings = this.#strings;
    let depth = 0;
    let lastString: readonly [start: number, end: number] | undefined;
    let key: typeof lastString;
    // Where there are more bytes outside of strings than there may be.
    let above = mostOutside;
    const refused = (message: string): MillraceError =>
      invalidFields('INVALID_INPUT', [{ field: (names && key && textOf(bytes, key)) || path, message }]);
    for (let at = 0; at < bytes.length; at++) {
      if (at >= above) throw tooLong(path, mostOutside);
      const byte = bytes[at];
      if (byte === QUOTE) {
        const end = endOfString(bytes, at);
        if (depth === 1) lastString = [at, end];
        above += end - at + 1;
        at = end;
        if (--strings < 0) throw refused(`has more than ${MOST_VALUES} values, nested ones included`);
      } else if (byte === COLON) {
        if (depth === 1) key = lastString;
      } else if (byte === END_OF_LIST || byte === END_OF_OBJECT) depth -= 1;
      else if (byte === COMMA || byte === LIST || byte === OBJECT) {
        if (byte !== COMMA) depth += 1;
        if (depth > MOST_DEPTH) throw refused(`is nested more than ${MOST_LEVELS} levels deep`);
        if (--left < 0) throw refused(`has more than ${MOST_VALUES} values, nested ones included`);
      }
    }
    this.#left = left;
    this.#strings = strings;
  }
}

/** As `ModestJson`, for a text that is the only one. */
export const expectModestJson = (bytes: Buffer, path: string, options?: Expected): void =>
  new ModestJson().expect(bytes, path, options);

function tooLong(path: string, most: number): MillraceError {
  const message = `its JSON without texts is above the limit of ${most} bytes (MILLRACE_MAX_JSON_BYTES)`;
  return new MillraceError('BODY_TOO_LARGE', `${path}: ${message}`, { fields: [{ field: path, message }] });
}

/** The text of a JSON string; undefined if it is none. */
function textOf(bytes: Buffer, [start, end]: readonly [number, number]): string | undefined {
  try {
    return String(JSON.parse(bytes.toString('utf8', start, end + 1)));
  } catch {
    return undefined;
  }
}

/** The index of the quote that ends the string; the length of the text if there is none. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = nextQuote(bytes, start + 1); at < bytes.length; at = nextQuote(bytes, at + 1)) {
    let slashes = 0;
    while (bytes[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return bytes.length;
}

/** A text may have one every second byte, and a string may have megabytes without any. */
function nextQuote(bytes: Buffer, from: number): number {
  const near = Math.min(from + NEAR, bytes.length);
  for (let at = from; at < near; at++) if (bytes[at] === QUOTE) return at;
  const found = bytes.indexOf(QUOTE, near);
  return found < 0 ? bytes.length : found;
}
