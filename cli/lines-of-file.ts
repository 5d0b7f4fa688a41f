import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { type ErrorCode, MillraceError, messageOf } from '../pipelines/errors.js';

/** Bytes that are read at a time, and most characters of a line, which is in memory as a whole. */
const LIMITS = { bytes: 2 ** 20, characters: 2 ** 28 };

/**
 * The lines of a file of any size, without their ends, as they are read one after the other. Throws `code` if the file cannot be read, and
 * for a line of more characters than the limit.
 */
export function* linesOfFile(file: string, code: ErrorCode, limits = LIMITS): Iterable<string> {
  const opened = reading(file, code, () => openSync(file, 'r'));
  try {
    const decoder = new StringDecoder('utf8');
    const bytes = Buffer.allocUnsafe(limits.bytes);
    let number = 1;
    let begun: string[] = [];
    let characters = 0;
    for (;;) {
      const length = reading(file, code, () => readSync(opened, bytes));
      const text = length === 0 ? decoder.end() : decoder.write(bytes.subarray(0, length));
      const [first = '', ...others] = text.split('\n');
      begun.push(first);
      characters += first.length;
      if (characters > limits.characters) {
        const message = `${file}:${number}: the line has more than ${limits.characters} characters: write an object on each line, or split it`;
        throw new MillraceError(code, message);
      }
      const last = others.pop();
      if (last !== undefined) {
        yield withoutReturn(begun.join(''));
        for (const other of others) yield withoutReturn(other);
        number += 1 + others.length;
        begun = [last];
        characters = last.length;
      }
      if (length > 0) continue;
      if (characters > 0) yield withoutReturn(begun.join(''));
      return;
    }
  } finally {
    closeSync(opened);
  }
}

/** A line that ends as on Windows. */
const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);

function reading<T>(file: string, code: ErrorCode, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new MillraceError(code, `cannot read ${file}: ${messageOf(error)}`);
  }
}
