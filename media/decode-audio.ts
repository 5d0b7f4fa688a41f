import type { Artifact } from '../pipelines/artifact.js';
import { decodeInThread } from './decoding/decode-in-thread.js';
import type { OpenAudio } from './open-audio.js';
import { decodeChannels, type PcmFormat } from './pcm.js';
import type { WavFormat } from './wav-format.js';

/**
 * WAV files up to this size, in bytes, and length, in milliseconds, are decoded in the event loop: some seconds of speech take a few milliseconds,
 * and the way to the thread and back for each of their blocks would be added to the time until they are heard.
 */
const SHORT = { bytes: 256 * 1024, ms: 20_000 };
const NEVER = new AbortController().signal;

/**
 * The samples of an artifact, as `decodeChannels` yields them; in a thread of their own unless they are known to be few. How many a compressed file
 * has is not known before it is decoded: 30 KB of silence may be hours.
 */
export function decodeAudio(
  { bytes: size, durationMs = Number.POSITIVE_INFINITY }: Pick<Artifact, 'bytes' | 'durationMs'>,
  { bytes, decoded, tenant, signal = NEVER }: OpenAudio,
  wanted: PcmFormat,
  onFormat?: (format: WavFormat) => void,
): AsyncGenerator<Float32Array[], void> {
  const isShort = decoded === undefined && size <= SHORT.bytes && durationMs <= SHORT.ms;
  if (isShort) return decodeChannels(bytes, wanted, onFormat);
  return decodeInThread(bytes, wanted, onFormat, { tenant, signal });
}
