import type { Json } from '../../pipelines/json.js';
import type { Pieces, PieceWriter, Writing } from './host.js';
import { isLost } from './streams.js';

/** The values of an `each` as its stream: in the order of its items, whichever ends first. */
export class OrderedPieces {
  readonly #open: () => Promise<PieceWriter | undefined>;
  #writer: PieceWriter | undefined;
  /** Values that are passed on when those before them have ended, by the item's index. */
  readonly #waiting = new Map<number, readonly Json[]>();
  /** Values that wait for a store that was away when the stream began. */
  readonly #kept: Json[] = [];
  #next = 0;
  #turn: Promise<void> = Promise.resolve();

  private constructor(open: () => Promise<PieceWriter | undefined>, writer: PieceWriter | undefined) {
    this.#open = open;
    this.#writer = writer;
  }

  /** If the store is away, the values are passed on at the end, or not at all: readers get the list. */
  static async open(pieces: Pieces, path: string, by: Writing): Promise<OrderedPieces> {
    const open = () =>
      pieces.write(path, by).catch((error: unknown) => {
        if (isLost(error)) return undefined;
        throw error;
      });
    return new OrderedPieces(open, await open());
  }

  /** The values of an item; resolves when all that can be passed on is. What ends meanwhile is passed on together. */
  put(i: number, values: readonly Json[]): Promise<void> {
    this.#waiting.set(i, values);
    this.#turn = this.#turn.then(() => this.#pass());
    return this.#turn;
  }

  /** Resolves when all that could be passed on so far is. */
  settled(): Promise<void> {
    return this.#turn;
  }

  async end(): Promise<void> {
    await this.#turn;
    if (!this.#writer) {
      this.#writer = await this.#open();
      await this.#writer?.add(...this.#kept);
    }
    await this.#writer?.end();
  }

  /** Nothing more is passed on. */
  close(): void {
    this.#writer?.close();
  }

  async #pass(): Promise<void> {
    const ready: Json[] = [];
    for (let values = this.#waiting.get(this.#next); values; values = this.#waiting.get(this.#next)) {
      this.#waiting.delete(this.#next);
      this.#next += 1;
      ready.push(...values);
    }
    if (ready.length === 0) return;
    if (this.#writer) await this.#writer.add(...ready);
    else this.#kept.push(...ready);
  }
}
