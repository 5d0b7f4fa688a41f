import { invalidMedia } from './wav-format.js';

export interface Box {
  readonly type: string;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Bytes of the longest box header: size, type, 64-bit size; without the last, of the shortest. */
export const HEADER_BYTES = 16;
export const SHORT_HEADER_BYTES = 8;

/** The box whose header is at `offset` in `bytes`; `start` is its position in the file, and it ends at `limit` at the latest. */
export function boxAt(bytes: Buffer, offset: number, start: number, limit: number): Box {
  const small = bytes.readUInt32BE(offset);
  const type = bytes.toString('latin1', offset + 4, offset + 8);
  const large = small === 1 && bytes.length >= offset + HEADER_BYTES;
  const size = large ? Number(bytes.readBigUInt64BE(offset + 8)) : small === 0 ? limit - start : small;
  const end = start + size;
  if (size < (large ? HEADER_BYTES : SHORT_HEADER_BYTES) || end > limit)
    throw invalidMedia(
      `the MP4 file is truncated or broken: its "${type.replace(/[^ -~]/g, '?')}" box reaches beyond its end`,
    );
  return { type, start, end };
}
