import { Blocks } from './blocks.js';

/** Bodies above this size, in bytes, get their final buffer before they are complete. */
const LARGE = 1024 * 1024;

/**
 * The share of the body that must have arrived before its buffer is allocated. A client can therefore make the process
 * allocate at most four times the bytes that it has sent and the budget has counted.
 */
const SHARE = 1 / 4;

/** In place of a block that is not kept any more. */
const NONE = Buffer.alloc(0);

/**
 * Collects a body of known length into one buffer. Each piece is copied as it arrives, whatever its size, and with it as many
 * bytes of those that were there before the buffer: no turn of the event loop copies much (16 MiB at once take 20 ms), and the
 * pieces are garbage collected while they are young.
 */
export class Filling {
  readonly #length: number;
  /** What is there before the buffer. */
  readonly #early: Blocks;
  /** The same, once there is a buffer. */
  #blocks: Buffer[] = [];
  /** How many of them, and of their bytes, are in the buffer. */
  readonly #placed = { blocks: 0, bytes: 0 };
  #size = 0;
  #whole: Buffer | undefined;

  constructor(length: number) {
    this.#length = length;
    this.#early = new Blocks(length);
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that are missing. */
  get left(): number {
    return this.#length - this.#size;
  }

  /** Throws a `RangeError` for more bytes than the length. */
  push(piece: Buffer): void {
    if (piece.length > this.left) throw new RangeError(`${piece.length} bytes have arrived; ${this.left} are missing`);
    const at = this.#size;
    this.#size += piece.length;
    if (this.#whole) {
      piece.copy(this.#whole, at);
      this.#place(this.#whole, piece.length);
      return;
    }
    this.#early.push(piece);
    if (this.#length > LARGE && this.#size >= this.#length * SHARE) {
      this.#whole = Buffer.allocUnsafeSlow(this.#length);
      this.#blocks = this.#early.take();
    }
  }

  /** The body, in a buffer that has no other bytes; call it once, when it is complete. */
  whole(): Buffer {
    if (!this.#whole) return inOne(this.#early.take(), this.#size);
    this.#place(this.#whole, this.#length);
    return this.#whole;
  }

  /** Copies at least so many bytes of the early blocks, as long as there are some. */
  #place(whole: Buffer, bytes: number): void {
    const placed = this.#placed;
    for (const until = placed.bytes + bytes; placed.bytes < until && placed.blocks < this.#blocks.length; ) {
      placed.bytes += (this.#blocks[placed.blocks] as Buffer).copy(whole, placed.bytes);
      this.#blocks[placed.blocks] = NONE;
      placed.blocks += 1;
    }
  }
}

/** A block that is alone has no more bytes than the body. A copy is not of Node’s pool, of which a small one would hold 8 KiB. */
function inOne(blocks: readonly Buffer[], size: number): Buffer {
  const [only] = blocks;
  if (only && blocks.length === 1) return only;
  const whole = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const block of blocks) at += block.copy(whole, at);
  return whole;
}
