import { setImmediate as nextTurn } from 'node:timers/promises';
import { createResampler, type Resampler } from './resample.js';
import { toChannels } from './samples.js';
import { WavReader } from './wav.js';
import { invalidMedia, type WavFormat } from './wav-format.js';

/** The requested format of samples. */
export interface PcmFormat {
  /** Hz; absent: the file's own. */
  readonly sampleRate?: number | undefined;
  /** Absent: the file's own. */
  readonly channels?: number | undefined;
}

/**
 * The longest audio that is decoded, in seconds: 12 hours. Silence compresses so well that a file below any byte limit
 * may contain weeks.
 */
const MOST_SECONDS = 12 * 3_600;

/** Longest work in one turn of the event loop, in milliseconds: a chunk of a file may be a minute of audio, and to convert that takes a second. */
const TURN_MS = 10;

/** When the turn of the event loop began in which the conversions of this thread go on. */
let begun = Number.NEGATIVE_INFINITY;
let line: Promise<void> = Promise.resolve();

/**
 * Waits in line for a turn of the event loop in which conversions have not worked for `TURN_MS` yet: many of them at once delay others no longer than
 * one does, and share a turn where their blocks are short, as those of live audio are.
 */
function turnInLine(): Promise<void> {
  line = line.then(async () => {
    if (performance.now() - begun <= TURN_MS) return;
    await nextTurn();
    begun = performance.now();
  });
  return line;
}

/** Rejects audio that is longer than `MOST_SECONDS` so far. */
export function refuseEndless(bytes: number, { frameBytes, sampleRate }: WavFormat): void {
  if (bytes > MOST_SECONDS * sampleRate * frameBytes)
    throw invalidMedia(`the audio is longer than ${MOST_SECONDS / 3_600} hours`);
}

/**
 * Decodes a WAV file as it streams: mono samples in [-1, 1] at `sampleRate` Hz, in chunks of at most a second (at most
 * 750 KiB), in bounded memory. Throws `INVALID_MEDIA` for files that `WavReader` rejects, for truncation only at the
 * end, and beyond 12 hours. `onFormat` is called with the file's format before the first chunk.
 */
export async function* decodeWav(
  bytes: AsyncIterable<Uint8Array>,
  { sampleRate }: { readonly sampleRate: number },
  onFormat?: (format: WavFormat) => void,
): AsyncGenerator<Float32Array, void> {
  for await (const [mono] of decodeChannels(bytes, { sampleRate, channels: 1 }, onFormat)) yield mono as Float32Array;
}

/** As `decodeWav`, with the samples of every requested channel; all channels of a chunk have the same length. */
export async function* decodeChannels(
  bytes: AsyncIterable<Uint8Array>,
  wanted: PcmFormat,
  onFormat?: (format: WavFormat) => void,
): AsyncGenerator<Float32Array[], void> {
  const reader = new WavReader();
  const frames = new FrameSplitter();
  let resamplers: Resampler[] | undefined;
  let received = 0;
  let turn = performance.now();
  try {
    for await (const chunk of bytes) {
      for (const samples of reader.push(chunk)) {
        const format = reader.format as WavFormat; // known before the first sample
        received += samples.length;
        refuseEndless(received, format);
        const channels = wanted.channels ?? format.channels;
        if (resamplers === undefined) {
          onFormat?.(format);
          resamplers = [];
          while (resamplers.length < channels)
            resamplers.push(await createResampler(format.sampleRate, wanted.sampleRate ?? format.sampleRate));
        }
        for (const block of frames.push(samples, format)) {
          if (performance.now() - turn > TURN_MS) {
            await turnInLine();
            turn = performance.now();
          }
          const converted = toChannels(block, format, channels).map((one, i) => resamplers?.[i]?.push(one) ?? one);
          if (converted[0] !== undefined && converted[0].length > 0) yield converted;
        }
      }
    }
    reader.end();
    const tails = resamplers?.map((resampler) => resampler.end()) ?? [];
    if (tails[0] !== undefined && tails[0].length > 0) yield tails;
  } finally {
    for (const resampler of resamplers ?? []) resampler.close();
  }
}

/** Splits sample bytes into blocks of whole frames, at most a second each, whatever the sizes of the chunks. */
class FrameSplitter {
  #partial: Uint8Array = new Uint8Array();

  *push(bytes: Uint8Array, { frameBytes, sampleRate }: WavFormat): Generator<Uint8Array, void> {
    let rest = bytes;
    if (this.#partial.length > 0) {
      const missing = frameBytes - this.#partial.length;
      const joined = Buffer.concat([this.#partial, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      this.#partial = joined.length < frameBytes ? joined : new Uint8Array();
      if (joined.length === frameBytes) yield joined;
    }
    const whole = rest.length - (rest.length % frameBytes);
    const most = sampleRate * frameBytes;
    for (let at = 0; at < whole; at += most) yield rest.subarray(at, Math.min(at + most, whole));
    if (whole < rest.length) this.#partial = rest.slice(whole);
  }
}
