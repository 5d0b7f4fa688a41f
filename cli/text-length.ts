import { constants } from 'node:buffer';
import { type ErrorCode, MillraceError } from '../pipelines/errors.js';

const inMiB = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;

/**
 * Throws `code` for a file of more bytes than a text can have, which is refused before it is read: Node would name neither the file nor a
 * way out.
 */
export function checkLength(file: string, bytes: number, code: ErrorCode): void {
  const most = constants.MAX_STRING_LENGTH;
  if (bytes <= most) return;
  const mend =
    code === 'INVALID_TRACE'
      ? `make a smaller trace of it by "millrace trace import csv ${file} --sample 0.1" or --limit, which reads files of any size`
      : 'split it';
  const message = `${file} has ${inMiB(bytes)}, and a file of at most ${inMiB(most)} can be read: ${mend}`;
  throw new MillraceError(code, message);
}
