import { invalidFields } from '../../pipelines/invalid-fields.js';
import { MOST_VALUES } from './input-size.js';

const QUOTE = 0x22;
const COMMA = 0x2c;
const LIST = 0x5b;
const BACKSLASH = 0x5c;
const OBJECT = 0x7b;

/**
 * Throws `INVALID_INPUT` for JSON with more values than `expectModest` accepts, before it is parsed: `{},` takes twenty times as much
 * memory once it is an object. What is accepted here may still have more values than it may.
 */
export function expectModestJson(bytes: Buffer, path: string): void {
  // Each list and each object, empty ones included, and each comma within them: at most two for a value.
  let left = 2 * MOST_VALUES;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if ((byte === COMMA || byte === LIST || byte === OBJECT) && --left < 0)
      throw invalidFields('INVALID_INPUT', [
        { field: path, message: `has more than ${MOST_VALUES} values, nested ones included` },
      ]);
  }
}

/** The index of the quote that ends the string; the length of the text if there is none. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (bytes[at - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return bytes.length;
}
