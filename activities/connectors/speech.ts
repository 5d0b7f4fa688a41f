import { toMono } from '../../media/samples.js';
import { WavReader } from '../../media/wav.js';
import { isSampleRate, type WavFormat } from '../../media/wav-format.js';
import { MillraceError } from '../../pipelines/errors.js';

/** Mono, 16 bits per sample; the rate in Hz. */
export interface Speech {
  readonly samples: Int16Array;
  readonly sampleRate: number;
}

/** Twenty minutes at 24 kHz, below the limit of an answer and a hundred times what a call requests. */
const MOST_BYTES = 1_200 * 24_000 * 2;

/** OpenAI's `pcm`: 16-bit little-endian mono, without a header. */
const PCM: WavFormat = { encoding: 's16', sampleRate: 24_000, channels: 1, frameBytes: 2 };

/**
 * The audio of an answer of `/v1/audio/speech`: WAV or headerless PCM, whichever the server sends. `emit` gets the
 * number of samples of each chunk as it arrives. Anything else is `INVALID_OUTPUT`.
 */
export async function readSpeech(response: Response, emit: (samples: number) => void): Promise<Speech> {
  const type = response.headers.get('content-type') ?? '';
  if (!response.body) throw new MillraceError('INVALID_OUTPUT', 'the answer has no body');
  const reader = new SpeechReader(type);
  for await (const chunk of response.body) {
    const samples = reader.push(chunk as Uint8Array);
    if (samples > 0) emit(samples);
  }
  return reader.end();
}

class SpeechReader {
  readonly #type: string;
  readonly #wav = new WavReader();
  readonly #held: Uint8Array[] = [];
  #bytes = 0;
  /** Samples emitted so far. */
  #reported = 0;
  #isWav: boolean | undefined;

  constructor(type: string) {
    this.#type = type;
  }

  /** Returns the number of whole samples that the chunk adds. */
  push(chunk: Uint8Array): number {
    if (chunk.length === 0) return 0;
    // Every WAV starts with "R"; PCM may too, but then the content type identifies it.
    this.#isWav ??= chunk[0] === 'R'.charCodeAt(0) && !this.#isPcm;
    if (!this.#isWav && !this.#isPcm) {
      throw new MillraceError('INVALID_OUTPUT', `the speech is ${this.#type || 'of no type'}, neither WAV nor PCM`);
    }
    for (const samples of this.#isWav ? readable(() => [...this.#wav.push(chunk)]) : [chunk]) {
      this.#held.push(samples);
      this.#bytes += samples.length;
    }
    if (this.#bytes > MOST_BYTES) throw new MillraceError('INVALID_OUTPUT', `more than ${MOST_BYTES} bytes of speech`);
    const whole = this.#format ? Math.floor(this.#bytes / this.#format.frameBytes) : 0;
    const added = whole - this.#reported;
    this.#reported = whole;
    return added;
  }

  end(): Speech {
    const format = this.#isWav ? readable(() => this.#wav.end().format) : PCM;
    const sampleRate = this.#rate ?? format.sampleRate;
    if (!isSampleRate(sampleRate)) throw new MillraceError('INVALID_OUTPUT', `speech at ${sampleRate} Hz`);
    if (this.#reported === 0) throw new MillraceError('INVALID_OUTPUT', 'the speech has no samples');
    const mono = toMono(Buffer.concat(this.#held), format);
    return { samples: Int16Array.from(mono, to16Bits), sampleRate };
  }

  get #format(): WavFormat | undefined {
    return this.#isWav ? this.#wav.format : PCM;
  }

  /** `audio/pcm`, and `audio/L16` of RFC 2586, which some servers send little-endian, too. */
  get #isPcm(): boolean {
    return /^audio\/(x-)?(pcm|l16)\b/i.test(this.#type);
  }

  /** The rate of headerless PCM if the content type states it: `audio/pcm; rate=22050`. */
  get #rate(): number | undefined {
    const [, rate] = /\brate=(\d+)/i.exec(this.#isWav ? '' : this.#type) ?? [];
    return rate === undefined ? undefined : Number(rate);
  }
}

const to16Bits = (value: number): number => Math.min(0x7fff, Math.round(value * 0x8000));

/** A broken file is an error of the server's answer here, not of the caller's input. */
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'INVALID_MEDIA') {
      throw new MillraceError('INVALID_OUTPUT', error.message);
    }
    throw error;
  }
}
