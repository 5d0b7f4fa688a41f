import { isUtf8 } from 'node:buffer';
import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';

/**
 * The text of a body or of a part of it. Bytes that are no UTF-8 throw `code` with the field: read as UTF-8 the letters of another encoding
 * would be lost without a word.
 */
export function utf8Text(bytes: Buffer, field: string, code: ErrorCode): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const message = 'is not UTF-8: send it in that encoding';
  throw new MillraceError(code, `${field}: ${message}`, { fields: [{ field, message }] });
}
