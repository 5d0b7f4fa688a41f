/** Bodies above this size, in bytes, get their final buffer before they are complete. */
const LARGE = 1024 * 1024;

/**
 * The share of the body that must have arrived before its buffer is allocated. A client can therefore make the process
 * allocate at most four times the bytes that it has sent and the budget has counted.
 */
const SHARE = 1 / 4;

/**
 * Collects a body of known length, which arrives in pieces of some ten kilobytes, into one buffer. Each piece is copied
 * as it arrives: no turn of the event loop copies much, and the pieces are garbage collected while they are young.
 */
export class Filling {
  readonly #length: number;
  readonly #early: Buffer[] = [];
  #size = 0;
  #whole: Buffer | undefined;

  constructor(length: number) {
    this.#length = length;
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
    if (this.#whole) piece.copy(this.#whole, at);
    else this.#early.push(piece);
    if (!this.#whole && this.#length > LARGE && this.#size >= this.#length * SHARE) this.#whole = this.#placed();
  }

  /** The body; call it when it is complete. */
  whole(): Buffer {
    return this.#whole ?? Buffer.concat(this.#early, this.#size);
  }

  #placed(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.#length);
    let at = 0;
    for (const piece of this.#early.splice(0)) at += piece.copy(whole, at);
    return whole;
  }
}
