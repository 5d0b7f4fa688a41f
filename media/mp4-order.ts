import { type Box, boxAt, HEADER_BYTES } from './mp4-box.js';
import { shiftedIndex } from './mp4-offsets.js';
import { invalidMedia } from './wav-format.js';

/** Reads a range of a file, `end` inclusive. */
type ReadRange = (range: { readonly start: number; readonly end: number }) => AsyncIterable<Uint8Array>;

/** The index of twelve hours of AAC is about 10 MB. ffmpeg holds it in memory. */
const MOST_INDEX_BYTES = 32 * 1024 * 1024;
/** Most top-level boxes before the index or the media; real files have a handful. */
const MOST_BOXES = 1_000;

/**
 * Reorders an MP4 file so that it can be decoded from a pipe: the index (`moov`) before the media (`mdat`). Phones and
 * recorders write the index last. It is moved to the front and its offsets are corrected; a file in the right order is
 * streamed unchanged. `size`: of the file, in bytes. Throws `INVALID_MEDIA` for a file without an index, and for one
 * with a broken or too large index behind the media: what comes before the media has been yielded by then.
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
  if (media.start > 0) yield* read({ start: 0, end: media.start - 1 });
  const source = sized(read({ start: index.start, end: index.end - 1 }), moved);
  yield* shiftedIndex(source, moved, (offset) =>
    offset >= media.start && offset < index.start ? offset + moved : offset,
  );
  yield* read({ start: media.start, end: index.start - 1 });
  if (index.end < size) yield* read({ start: index.end, end: size - 1 });
}

/** A box with its size, where it has none because it reaches to the end of its file. */
async function* sized(box: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void> {
  let head: Buffer = Buffer.alloc(0);
  for await (const piece of box) {
    if (head.length >= 4) {
      yield piece;
      continue;
    }
    head = Buffer.concat([head, piece]);
    if (head.length < 4) continue;
    if (head.readUInt32BE(0) === 0) head.writeUInt32BE(size, 0);
    yield head;
  }
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

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}
