import type { SimulatedStage } from './system.js';

/**
 * The pieces of streams: a stage that reads another’s output while it is made is called once for each piece, one after the
 * other, as the runtime speaks sentence by sentence. Numbered by item: request x stages + stage.
 */
export class Pieces {
  readonly #stages: readonly SimulatedStage[];
  /** Pieces that can be read, that were begun, that have ended, and all of them; 0: not known yet. */
  readonly #there: Int32Array;
  readonly #begun: Int32Array;
  readonly #ended: Int32Array;
  readonly #all: Int32Array;
  /** By stage: the stages that read its stream. */
  readonly readers: readonly (readonly number[])[];
  /** By stage: tokens after which its readers have another piece; infinite: nobody reads its stream. */
  readonly every: Float64Array;

  constructor(stages: readonly SimulatedStage[], requests: number) {
    this.#stages = stages;
    this.readers = stages.map((_, u) => stages.flatMap(({ streamFrom }, v) => (streamFrom === u ? [v] : [])));
    this.every = Float64Array.from(this.readers, (own) =>
      Math.min(...own.map((v) => stages[v]?.pieceTokens ?? Number.POSITIVE_INFINITY)),
    );
    const items = this.readers.some((own) => own.length > 0) ? requests * stages.length : 0;
    this.#there = new Int32Array(items);
    this.#begun = new Int32Array(items);
    this.#ended = new Int32Array(items);
    this.#all = new Int32Array(items);
  }

  reset(): void {
    for (const each of [this.#there, this.#begun, this.#ended, this.#all]) each.fill(0);
  }

  /** Sets how many pieces a stream of so many tokens has; NaN: the maker has no tokens, and the whole is one piece. */
  count(item: number, v: number, tokens: number): void {
    const { pieceTokens } = this.#stages[v] as SimulatedStage;
    this.#all[item] = Number.isFinite(tokens) ? Math.max(1, Math.ceil(tokens / pieceTokens)) : 1;
  }

  isCounted(item: number): boolean {
    return this.#all[item] !== 0;
  }

  /** Share of the whole that one piece is; 1 for stages that read no stream. */
  share(item: number, v: number): number {
    return this.#stages[v]?.streamFrom === undefined ? 1 : 1 / Math.max(1, this.#all[item] as number);
  }

  /** More can be read: whatever so many tokens hold; infinite: all of it. Returns whether these are the first pieces. */
  offer(item: number, v: number, tokens: number): boolean {
    const { pieceTokens } = this.#stages[v] as SimulatedStage;
    const before = this.#there[item] as number;
    const now = Math.min(this.#all[item] as number, Math.floor(tokens / pieceTokens));
    if (now > before) this.#there[item] = now;
    return before === 0 && now > 0;
  }

  /** Whether a piece waits to be read, and none is being read; it counts as begun. */
  begin(item: number): boolean {
    const begun = this.#begun[item] as number;
    if (begun > (this.#ended[item] as number) || begun >= (this.#there[item] as number)) return false;
    this.#begun[item] = begun + 1;
    return true;
  }

  /** A piece has ended. Returns whether it was the last. */
  end(item: number): boolean {
    const ended = (this.#ended[item] as number) + 1;
    this.#ended[item] = ended;
    return ended >= (this.#all[item] as number);
  }
}
