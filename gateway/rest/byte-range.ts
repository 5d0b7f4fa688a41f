import { MillraceError } from '../../pipelines/errors.js';
import type { ByteRange } from '../../stores/artifacts/index.js';

/**
 * Parses `Range` (RFC 9110 §14). Undefined, for the whole artifact, if the header is absent or ignored: another unit,
 * malformed, or several ranges (a server may always send the whole instead). Throws `RANGE_NOT_SATISFIABLE` if it
 * starts after the last byte.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') return within(Math.max(0, size - Number(last)), size - 1, size);
  if (last !== '' && Number(last) < Number(first)) return undefined;
  return within(Number(first), last === '' ? size - 1 : Math.min(Number(last), size - 1), size);
}

function within(start: number, end: number, size: number): ByteRange {
  if (start < size) return { start, end };
  const message = `the artifact has ${size} bytes`;
  throw new MillraceError('RANGE_NOT_SATISFIABLE', message, { fields: [{ field: 'Range', message }] });
}
