/** Above this a body gets its place in memory before all of it has come, in bytes. */
const LARGE = 1024 * 1024;

/**
 * The part of its length that has to have come by then. An announcement alone reserves nothing: what a client makes the process
 * reserve is at most so many times what it has sent, which the budget has counted.
 */
const SHARE = 1 / 16;

/**
 * Bytes of a known length that come in pieces of some ten kilobytes and are wanted as one buffer. Each piece is copied as it
 * comes: no turn of the event loop copies much, and the pieces are collected while they are young.
 */
export class Filling {
  readonly #length: number;
  readonly #early: Buffer[] = [];
  #size = 0;
  #whole: Buffer | undefined;

  constructor(length: number) {
    this.#length = length;
  }

  /** How many bytes are still to come. */
  get left(): number {
    return this.#length - this.#size;
  }

  /** Throws a `RangeError` where more comes than the length. */
  push(piece: Buffer): void {
    if (piece.length > this.left) throw new RangeError(`${piece.length} bytes have come; ${this.left} are missing`);
    const at = this.#size;
    this.#size += piece.length;
    if (this.#whole) piece.copy(this.#whole, at);
    else this.#early.push(piece);
    if (!this.#whole && this.#length > LARGE && this.#size >= this.#length * SHARE) this.#whole = this.#placed();
  }

  /** What has come, once all has. */
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
