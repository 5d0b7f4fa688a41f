import type { IncomingHttpHeaders } from 'node:http';
import { MillraceError } from '../../pipelines/errors.js';

/** Values that leave a body as it is. Some clients name the charset here. */
const PLAIN: ReadonlySet<string> = new Set(['', 'identity', 'utf-8', 'utf8']);

/** Refuses a compressed body, which would be read as damaged JSON or a damaged file. Throws `UNSUPPORTED_CONTENT_TYPE`. */
export function refuseEncoded({ 'content-encoding': encoding = '' }: IncomingHttpHeaders): void {
  if (PLAIN.has(encoding.trim().toLowerCase())) return;
  const message = `"${encoding}" is not supported; send the body without encoding`;
  throw new MillraceError('UNSUPPORTED_CONTENT_TYPE', `Content-Encoding ${message}`, {
    fields: [{ field: 'Content-Encoding', message }],
  });
}
