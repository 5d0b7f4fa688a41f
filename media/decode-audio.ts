import type { Artifact } from '../pipelines/artifact.js';
import { decodeInThread } from './decoding/decode-in-thread.js';
import type { OpenAudio } from './open-audio.js';
import { decodeChannels, type PcmFormat } from './pcm.js';
import type { WavFormat } from './wav-format.js';

/**
 * Files above this size, in bytes, are decoded in a thread of their own: some seconds of speech. Shorter ones take a few milliseconds, and
 * the way to the thread and back for each of their blocks would be added to the time until they are heard.
 */
const LONG_BYTES = 256 * 1024;
/** The same for a compressed file, which has some eight times as many samples. */
const LONG_COMPRESSED_BYTES = LONG_BYTES / 8;
const NEVER = new AbortController().signal;

/** The samples of an artifact, as `decodeChannels` yields them. */
export function decodeAudio(
  { bytes: size }: Pick<Artifact, 'bytes'>,
  { bytes, decoded, tenant, signal = NEVER }: OpenAudio,
  wanted: PcmFormat,
  onFormat?: (format: WavFormat) => void,
): AsyncGenerator<Float32Array[], void> {
  const isLong = size > (decoded === undefined ? LONG_BYTES : LONG_COMPRESSED_BYTES);
  if (isLong) return decodeInThread(bytes, wanted, onFormat, { tenant, signal });
  return decodeChannels(bytes, wanted, onFormat);
}
