import type { FairSlots } from '../../runtime/fair-slots.js';

/**
 * A tenant's turn at the threads that write files. It is given up while the next bytes of a file are waited for: a slow client keeps no thread
 * from others. All methods throw the reason of `gone` once that has aborted.
 */
export class FileTurn {
  readonly #slots: FairSlots | undefined;
  readonly #tenant: string;
  readonly #gone: AbortSignal;
  #leave: (() => void) | undefined;

  /** @param slots absent: any number at once */
  constructor(slots: FairSlots | undefined, tenant: string, gone: AbortSignal) {
    this.#slots = slots;
    this.#tenant = tenant;
    this.#gone = gone;
  }

  /** Does the work in a turn. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await work();
    } finally {
      this.#exit();
    }
  }

  /**
   * What the work of `use` reads from elsewhere. Gives the turn up until its first bytes are there: before it reads them, a store may wait for a
   * measurement of all that the tenant keeps.
   */
  bytes(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    this.#exit();
    return this.#inTurns(source);
  }

  async *#inTurns(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const piece of source) {
      await this.#enter();
      yield piece;
      this.#exit();
    }
    await this.#enter();
  }

  async #enter(): Promise<void> {
    this.#gone.throwIfAborted();
    this.#leave = await this.#slots?.acquire(this.#tenant, this.#gone);
  }

  #exit(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}
