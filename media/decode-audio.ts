import type { Artifact } from '../pipelines/artifact.js';
import { decodeInThread } from './decoding/decode-in-thread.js';
import type { OpenAudio } from './open-audio.js';
import { decodeChannels, type PcmFormat } from './pcm.js';
import { WavReader } from './wav.js';
import type { WavFormat } from './wav-format.js';

/**
 * Audio up to this size, in bytes, and length, in milliseconds, is converted in the event loop: some seconds of speech take a few milliseconds,
 * and the way to the thread and back for each of their blocks, behind the blocks of long files, would be added to the time until they are heard.
 */
const SHORT = { bytes: 256 * 1024, ms: 20_000 };
/** Of a compressed file: its own size, and that of its samples. */
const SHORT_COMPRESSED = { bytes: SHORT.bytes / 8, decodedBytes: SHORT.bytes * 8 };
const NEVER = new AbortController().signal;

/** The samples of an artifact, as `decodeChannels` yields them; in a thread of their own unless they are known to be few. */
export async function* decodeAudio(
  { bytes: size, durationMs = Number.POSITIVE_INFINITY }: Pick<Artifact, 'bytes' | 'durationMs'>,
  { bytes, decoded, tenant, signal = NEVER }: OpenAudio,
  wanted: PcmFormat,
  onFormat?: (format: WavFormat) => void,
): AsyncGenerator<Float32Array[], void> {
  const here = (wav: AsyncIterable<Uint8Array>) => decodeChannels(wav, wanted, onFormat);
  const inThread = (wav: AsyncIterable<Uint8Array>) => decodeInThread(wav, wanted, onFormat, { tenant, signal });
  if (decoded === undefined)
    return yield* size <= SHORT.bytes && durationMs <= SHORT.ms ? here(bytes) : inThread(bytes);
  if (size > SHORT_COMPRESSED.bytes) return yield* inThread(bytes);
  const source = bytes[Symbol.asyncIterator]();
  try {
    const { begin, isAll } = await readAhead(source);
    const whole = joined(begin, source);
    yield* isAll ? here(whole) : inThread(whole);
  } finally {
    await source.return?.();
  }
}

/**
 * The beginning of a decoded file, up to the length that counts as short, and whether that is all of it. The size of a compressed file does not tell: 30 KB of
 * silence may be hours.
 */
async function readAhead(source: AsyncIterator<Uint8Array>): Promise<{ begin: Uint8Array[]; isAll: boolean }> {
  const begin: Uint8Array[] = [];
  const reader = new WavReader();
  let samples = 0;
  for (;;) {
    const next = await source.next();
    if (next.done) return { begin, isAll: true };
    begin.push(next.value);
    for (const part of reader.push(next.value)) samples += part.length;
    const { sampleRate, frameBytes } = reader.format ?? { sampleRate: 1, frameBytes: 1 };
    const isLong = samples > SHORT_COMPRESSED.decodedBytes || samples > (SHORT.ms / 1_000) * sampleRate * frameBytes;
    if (isLong) return { begin, isAll: false };
  }
}

async function* joined(begin: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* begin;
  yield* { [Symbol.asyncIterator]: () => rest };
}
