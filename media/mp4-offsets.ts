import { setImmediate as nextTurn } from 'node:timers/promises';
import { boxAt, HEADER_BYTES, SHORT_HEADER_BYTES } from './mp4-box.js';
import { invalidMedia } from './wav-format.js';

/** Where the bytes are that were at an offset, in bytes from the start of the file. */
type Shift = (offset: number) => number;

/** Boxes that contain the chunk offset tables, outermost first (ISO/IEC 14496-12 §6.2.3). */
const CONTAINERS: ReadonlySet<string> = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl']);
/** Bytes of an offset, by the type of the table (§8.7.5). */
const WIDTHS: ReadonlyMap<string, number> = new Map([
  ['stco', 4],
  ['co64', 8],
]);
/** What comes before the offsets of a table: version and flags, and their number. */
const TABLE_HEAD_BYTES = 8;

/** Offset tables are five boxes deep; a broken index may be deeper. */
const DEEPEST_BOX = 8;
/** Most boxes of an index; real files have some dozens for each track. */
const MOST_BOXES = 100_000;
/**
 * Most offsets of all tables together, one for each chunk. A chunk has a frame at least: with one in each, 2 million are five hours of video at 60 frames
 * a second with its sound, or eleven hours of AAC at 48 kHz. Recorders usually put half a second or more of sound into a chunk.
 */
const MOST_OFFSETS = 2_000_000;

/** Bytes that are changed in one turn of the event loop: 16,384 offsets at most, which take less than a millisecond. */
const BLOCK_BYTES = 64 * 1024;

const TWO_TO_32 = 2 ** 32;

/**
 * The index (`moov`) of an MP4 file with other chunk offsets. It is changed block by block, each in a turn of its own, and nothing of it is kept.
 * Throws `INVALID_MEDIA` for one that is broken, or larger than those of real files.
 *
 * @param size of the index, in bytes
 */
export async function* shiftedIndex(
  index: AsyncIterable<Uint8Array>,
  size: number,
  shift: Shift,
): AsyncGenerator<Uint8Array, void> {
  const tables = new OffsetTables(size, shift);
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of index)
    for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
      // A copy: the bytes of the piece are the store's.
      const block = Buffer.concat([rest, piece.subarray(at, at + BLOCK_BYTES)]);
      const done = tables.change(block);
      if (done > 0) yield block.subarray(0, done);
      rest = block.subarray(done);
      await nextTurn();
    }
  if (rest.length > 0) yield rest;
}

/** The offset tables of an index that comes in blocks. */
class OffsetTables {
  readonly #shift: Shift;
  /** Ends of the boxes that the next byte is in, outermost first, the index itself included. */
  readonly #ends: number[];
  /** Position in the index of the first byte of the block. */
  #start = 0;
  /** Offsets of the current table that are still to come, and the bytes of each. */
  #left = 0;
  #width = 0;
  /** Bytes behind them, or of another box, that stay as they are. */
  #skip = 0;
  #boxes = 0;
  #offsets = 0;

  constructor(size: number, shift: Shift) {
    this.#ends = [size];
    this.#shift = shift;
  }

  /**
   * Changes in place the offsets in a block, which begins with the bytes that were not done of the one before. Returns how many bytes are done:
   * fewer than all where a header or an offset is not there whole.
   */
  change(block: Buffer): number {
    let at = 0;
    for (;;) {
      at = this.#changeOffsets(block, at);
      if (this.#left > 0) break;
      const skipped = Math.min(this.#skip, block.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (this.#skip > 0) break;
      const entered = this.#enter(block, at);
      if (entered === undefined) break;
      at += entered;
    }
    this.#start += at;
    return at;
  }

  /** Changes the offsets of the current table from `from` on, as far as they are there. Returns where they end. */
  #changeOffsets(block: Buffer, from: number): number {
    if (this.#left === 0) return from;
    const width = this.#width;
    const count = Math.min(this.#left, Math.floor((block.length - from) / width));
    const to = from + count * width;
    for (let at = from; at < to; at += width) {
      if (width === 8) changeLarge(block, at, this.#shift);
      else changeSmall(block, at, this.#shift);
    }
    this.#left -= count;
    return to;
  }

  /**
   * Reads what begins at `at`: the header of a box, and the head of a table; or leaves a box that ends there. Returns how many bytes of it are
   * done, undefined if more have to come first.
   */
  #enter(block: Buffer, at: number): number | undefined {
    const start = this.#start + at;
    const limit = this.#ends.at(-1);
    // Behind the index.
    if (limit === undefined) return block.length > at ? block.length - at : undefined;
    if (limit - start < SHORT_HEADER_BYTES) {
      this.#ends.pop();
      this.#skip = limit - start;
      return 0;
    }
    const there = block.length - at;
    if (there < SHORT_HEADER_BYTES) return undefined;
    const header = block.readUInt32BE(at) === 1 ? HEADER_BYTES : SHORT_HEADER_BYTES;
    if (there < Math.min(header, limit - start)) return undefined;
    const { type, end } = boxAt(block, at, start, limit);
    const width = WIDTHS.get(type);
    const body = end - start - header;
    if (width !== undefined && body >= TABLE_HEAD_BYTES && there < header + TABLE_HEAD_BYTES) return undefined;
    if (++this.#boxes > MOST_BOXES) throw invalidMedia(`the MP4 file has more than ${MOST_BOXES} boxes in its index`);
    if (width !== undefined) {
      this.#begin(body < TABLE_HEAD_BYTES ? undefined : block.readUInt32BE(at + header + 4), width, body);
      return header + TABLE_HEAD_BYTES;
    }
    if (!CONTAINERS.has(type)) {
      this.#skip = end - start;
      return 0;
    }
    if (this.#ends.length > DEEPEST_BOX) throw invalidMedia('the MP4 file is broken: its index is nested too deeply');
    this.#ends.push(end);
    return header;
  }

  /**
   * Begins a table.
   * @param count of its offsets; undefined if there is no room for their number
   * @param body bytes of the box behind its header
   */
  #begin(count: number | undefined, width: number, body: number): void {
    const room = body - TABLE_HEAD_BYTES;
    if (count === undefined || count * width > room)
      throw invalidMedia('the MP4 file is broken: a table of offsets is longer than its box');
    this.#offsets += count;
    if (this.#offsets > MOST_OFFSETS)
      throw invalidMedia(`the MP4 file has more than ${MOST_OFFSETS} chunks in its index`);
    this.#left = count;
    this.#width = width;
    this.#skip = room - count * width;
  }
}

function changeSmall(block: Buffer, at: number, shift: Shift): void {
  const shifted = shift(block.readUInt32BE(at));
  if (shifted >= TWO_TO_32)
    throw invalidMedia('the MP4 file is too large to be read: its index comes after 4 GiB of media');
  block.writeUInt32BE(shifted, at);
}

/** In two halves, since a BigInt for each offset is slow. One above 2^53, which a number rounds, is beyond any file and stays as it is. */
function changeLarge(block: Buffer, at: number, shift: Shift): void {
  const offset = block.readUInt32BE(at) * TWO_TO_32 + block.readUInt32BE(at + 4);
  const shifted = shift(offset);
  if (shifted === offset) return;
  const high = Math.floor(shifted / TWO_TO_32);
  block.writeUInt32BE(high, at);
  block.writeUInt32BE(shifted - high * TWO_TO_32, at + 4);
}
