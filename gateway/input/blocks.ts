/** Size of a block, in bytes: at least, and at most. */
const LEAST = 1024;
const MOST = 64 * 1024;

/**
 * Collects bytes of a client, in pieces of any size. Each piece is copied as it comes, and none is kept: a piece of one byte, such as a chunk of
 * HTTP or a frame of HTTP/2, is a Buffer of some 300 bytes, or a view of the whole read of 64 KiB that it came in, and a budget counts one byte
 * for it. A block is as large as what is there already, so that no more than twice the bytes that have come, and a kilobyte, are held; where it is
 * known how many bytes come, no more than those either.
 */
export class Blocks {
  readonly #most: number;
  #blocks: Buffer[] = [];
  /** Bytes of the last block that are not filled yet. */
  #free = 0;
  #size = 0;

  /** @param most bytes that come, at most; whoever pushes them sees to that */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; ) {
      const left = piece.length - at;
      const block = this.#free > 0 ? (this.#blocks.at(-1) as Buffer) : this.#add(left);
      const taken = Math.min(left, this.#free);
      block.set(taken === piece.length ? piece : piece.subarray(at, at + taken), block.length - this.#free);
      this.#free -= taken;
      this.#size += taken;
      at += taken;
    }
  }

  /** The bytes, in blocks of 64 KiB at most. They are no longer kept here. */
  take(): Buffer[] {
    const blocks = this.#blocks;
    const last = blocks.at(-1);
    if (last && this.#free > 0) blocks[blocks.length - 1] = last.subarray(0, last.length - this.#free);
    this.#blocks = [];
    this.#free = 0;
    this.#size = 0;
    return blocks;
  }

  /** @param left bytes that are to be added now */
  #add(left: number): Buffer {
    // Not of Node's pool, of which a small block would hold 8 KiB.
    const block = Buffer.allocUnsafeSlow(Math.min(MOST, Math.max(LEAST, this.#size + left), this.#most - this.#size));
    this.#blocks.push(block);
    this.#free = block.length;
    return block;
  }
}
