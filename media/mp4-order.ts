import { invalidMedia } from './wav-format.js';

/** Reads a range of a file, `end` inclusive. */
type ReadRange = (range: { readonly start: number; readonly end: number }) => AsyncIterable<Uint8Array>;

interface Box {
  readonly type: string;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Bytes of the longest box header: size, type, 64-bit size. */
const HEADER_BYTES = 16;
/** The index of twelve hours of AAC is about 10 MB. It is held in memory. */
const MOST_INDEX_BYTES = 32 * 1024 * 1024;
/** Most top-level boxes before the index or the media; real files have a handful. */
const MOST_BOXES = 1_000;
/** Boxes that contain the chunk offset tables, outermost first (ISO/IEC 14496-12 §6.2.3). */
const CONTAINERS: ReadonlySet<string> = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl']);

/** Offset tables are five boxes deep; deeper nesting in a broken index could overflow the stack. */
const DEEPEST_BOX = 8;
/** Most boxes of an index; real files have some dozens for each track. */
const MOST_INDEX_BOXES = 100_000;

/**
 * Reorders an MP4 file so that it can be decoded from a pipe: the index (`moov`) before the media (`mdat`). Phones and
 * recorders write the index last. It is moved to the front and its offsets are corrected; a file in the right order is
 * streamed unchanged. `size`: of the file, in bytes. Throws `INVALID_MEDIA` for a file without an index.
 */
export async function* indexFirst(read: ReadRange, size: number): AsyncGenerator<Uint8Array, void> {
  const { media, index } = await findBoxes(read, size);
  if (media === undefined || index.start < media.start) {
    yield* read({ start: 0, end: size - 1 });
    return;
  }
  const moved = index.end - index.start;
  if (moved > MOST_INDEX_BYTES)
    throw invalidMedia(`the MP4 index has ${moved} bytes; at most ${MOST_INDEX_BYTES} are read`);
  const moov = await bytesOf(read({ start: index.start, end: index.end - 1 }));
  shiftOffsets(moov, 0, moov.length, (offset) =>
    offset >= media.start && offset < index.start ? offset + moved : offset,
  );
  if (media.start > 0) yield* read({ start: 0, end: media.start - 1 });
  yield moov;
  yield* read({ start: media.start, end: index.start - 1 });
  if (index.end < size) yield* read({ start: index.end, end: size - 1 });
}

/** The index, and the first media box before it. */
async function findBoxes(read: ReadRange, size: number): Promise<{ media: Box | undefined; index: Box }> {
  let media: Box | undefined;
  for (let at = 0, count = 0; at + 8 <= size && count < MOST_BOXES; count++) {
    const header = await bytesOf(read({ start: at, end: Math.min(at + HEADER_BYTES, size) - 1 }));
    const box = boxAt(header, 0, at, size);
    if (box.type === 'moov') return { media, index: box };
    if (box.type === 'mdat') media ??= box;
    at = box.end;
  }
  throw invalidMedia('the MP4 file has no index ("moov" box): it is truncated, or was not closed by its recorder');
}

/** The box whose header is at `offset` in `bytes`; `start` is its position in the file. */
function boxAt(bytes: Buffer, offset: number, start: number, limit: number): Box {
  const small = bytes.readUInt32BE(offset);
  const type = bytes.toString('latin1', offset + 4, offset + 8);
  const large = small === 1 && bytes.length >= offset + HEADER_BYTES;
  const size = large ? Number(bytes.readBigUInt64BE(offset + 8)) : small === 0 ? limit - start : small;
  const end = start + size;
  if (size < (large ? HEADER_BYTES : 8) || end > limit)
    throw invalidMedia(
      `the MP4 file is truncated or broken: its "${type.replace(/[^ -~]/g, '?')}" box reaches beyond its end`,
    );
  return { type, start, end };
}

/** Changes, in place, all chunk offsets in the boxes of `moov[from, to)`, at nesting level `depth`. `seen` counts the boxes. */
function shiftOffsets(
  moov: Buffer,
  from: number,
  to: number,
  shift: (offset: number) => number,
  depth = 0,
  seen = { boxes: 0 },
): void {
  if (depth > DEEPEST_BOX) throw invalidMedia('the MP4 file is broken: its index is nested too deeply');
  for (let at = from; at + 8 <= to; ) {
    if (++seen.boxes > MOST_INDEX_BOXES)
      throw invalidMedia(`the MP4 file has more than ${MOST_INDEX_BOXES} boxes in its index`);
    const box = boxAt(moov, at, at, to);
    const body = at + (moov.readUInt32BE(at) === 1 ? HEADER_BYTES : 8);
    if (CONTAINERS.has(box.type)) shiftOffsets(moov, body, box.end, shift, depth + 1, seen);
    else if (box.type === 'stco') shiftTable(moov, body, box.end, 4, shift);
    else if (box.type === 'co64') shiftTable(moov, body, box.end, 8, shift);
    at = box.end;
  }
}

/** Changes an offset table: version and flags, the number of entries, the entries. */
function shiftTable(moov: Buffer, body: number, end: number, width: 4 | 8, shift: (offset: number) => number): void {
  const first = body + 8;
  const count = first <= end ? moov.readUInt32BE(body + 4) : Number.POSITIVE_INFINITY;
  if (first + count * width > end)
    throw invalidMedia('the MP4 file is broken: a table of offsets is longer than its box');
  for (let at = first; at < first + count * width; at += width) {
    if (width === 8) moov.writeBigUInt64BE(BigInt(shift(Number(moov.readBigUInt64BE(at)))), at);
    else moov.writeUInt32BE(shiftedSmall(shift(moov.readUInt32BE(at))), at);
  }
}

function shiftedSmall(offset: number): number {
  if (offset <= 0xffffffff) return offset;
  throw invalidMedia('the MP4 file is too large to be read: its index comes after 4 GiB of media');
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}
