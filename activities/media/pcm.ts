import { createResampler, type Resampler } from './resample.js';
import { toMono } from './samples.js';
import { WavReader } from './wav.js';
import type { WavFormat } from './wav-format.js';

/**
 * Decodes a WAV file as it streams in: mono samples in [-1, 1] at `sampleRate` Hz, in chunks of at most a second (at most
 * 750 KiB), in bounded memory. Throws `INVALID_MEDIA` for what `WavReader` refuses, a truncated file only at its end.
 */
export async function* decodeWav(
  bytes: AsyncIterable<Uint8Array>,
  { sampleRate }: { readonly sampleRate: number },
): AsyncGenerator<Float32Array, void> {
  const reader = new WavReader();
  const frames = new FrameSplitter();
  let resampler: Resampler | undefined;
  try {
    for await (const chunk of bytes) {
      for (const samples of reader.push(chunk)) {
        const format = reader.format as WavFormat; // known before the first sample
        resampler ??= await createResampler(format.sampleRate, sampleRate);
        for (const block of frames.push(samples, format)) {
          const converted = resampler.push(toMono(block, format));
          if (converted.length > 0) yield converted;
        }
      }
    }
    reader.end();
    const tail = resampler?.end();
    if (tail !== undefined && tail.length > 0) yield tail;
  } finally {
    resampler?.close();
  }
}

/** Cuts samples' bytes into blocks of whole frames, at most a second each, whatever the sizes they arrive in. */
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
