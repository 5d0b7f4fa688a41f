/** A converter of sample rates of libsamplerate: its state is that of one stream. */
export interface Converter {
  inputSampleRate: number;
  outputSampleRate: number;
  ratio: number;
  full(samples: Float32Array): Float32Array;
  destroy(): void;
}

/** Most converters that wait for a stream. */
const MOST_IDLE = 32;

/**
 * Converters that are used again. Each has a memory of 26 MB, of which it touches some 5 MB: making a new one for each stream costs all of it as soon as
 * the allocator clears memory that was given back.
 */
export class Converters {
  readonly #create: (fromHz: number, toHz: number) => Promise<Converter>;
  readonly #idle: Converter[] = [];

  constructor(create: (fromHz: number, toHz: number) => Promise<Converter>) {
    this.#create = create;
  }

  /** A converter for a new stream. To set its rates makes it begin anew: it has nothing of the stream before. */
  async take(fromHz: number, toHz: number): Promise<Converter> {
    const kept = this.#idle.pop();
    if (kept === undefined) return await this.#create(fromHz, toHz);
    kept.inputSampleRate = fromHz;
    kept.outputSampleRate = toHz;
    kept.ratio = toHz / fromHz;
    return kept;
  }

  /** For the next stream: the one before must not use it any more. */
  giveBack(converter: Converter): void {
    if (this.#idle.length < MOST_IDLE) this.#idle.push(converter);
    else converter.destroy();
  }
}
