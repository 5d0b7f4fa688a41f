import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import type { AudioFormat } from '../pipelines/media.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { type AudioPortOptions, DEFAULT_FFMPEG } from './audio-port.js';
import { describeConversion, describeDamage } from './conversion.js';
import { decodeAudio } from './decode-audio.js';
import { encodingOf } from './encodings.js';
import { inspectorOf } from './inspectors.js';
import { type OpenAudio, openAudio } from './open-audio.js';
import { refuseEndless } from './pcm.js';
import { toInt16 } from './samples.js';
import { WavReader } from './wav.js';
import { invalidMedia, isPlain, type WavFormat } from './wav-format.js';
import { MOST_DATA_BYTES, wavHeader } from './write-wav.js';

/** Whether audio is known to have a format. Unknown properties, such as the rate of an MP4, count as different. */
export const fits = ({ mime, sampleRate, channels }: Artifact, format: AudioFormat): boolean =>
  (format.encoding === undefined || encodingOf(mime) === format.encoding) &&
  (format.rate === undefined || sampleRate === format.rate) &&
  (format.channels === undefined || channels === format.channels);

/**
 * Converts audio to a format. Returns the artifact itself if it has the format already, otherwise a new 16-bit WAV with
 * the rate and channels of the format; properties that the format leaves open are kept. Memory is bounded; the source
 * is read twice, because a WAV header contains the length. The store deduplicates content, so a repeated conversion
 * costs time but no space.
 *
 * Throws `CONVERSION_UNAVAILABLE` for a target encoding other than WAV, and if ffmpeg is needed and missing.
 */
export async function convertAudio(
  store: ArtifactStore,
  tenant: string,
  artifact: Artifact,
  format: AudioFormat,
  { onConversion, ffmpeg = DEFAULT_FFMPEG, signal }: AudioPortOptions = {},
): Promise<Artifact> {
  if (fits(artifact, format)) return artifact;
  if (format.encoding !== undefined && format.encoding !== 'wav') {
    const message = `${artifact.uri} is ${artifact.mime}, not ${format.encoding} as declared; it can only be converted to WAV`;
    throw new MillraceError('CONVERSION_UNAVAILABLE', message);
  }
  const open = (onDamage?: (text: string) => void) =>
    openAudio(store, tenant, artifact, { program: ffmpeg, signal, onDamage });
  const { bytes, decoded } = open((text) => onConversion?.(describeDamage(text)));
  const { found, frames } = await measure(bytes);
  const wanted = { sampleRate: format.rate ?? found.sampleRate, channels: format.channels ?? found.channels };
  const text = describeConversion(found, wanted, decoded);
  if (text !== undefined) onConversion?.(text);
  const length = Math.round((frames * wanted.sampleRate) / found.sampleRate);
  return await store.put(tenant, wavBytes(artifact, open(), { ...wanted, frames: length }), inspectorOf('audio'));
}

/**
 * A piece of audio as it can be heard behind the first one of its stream: 16-bit mono WAV at the sample rate of that. Returns the piece
 * itself if it has this format. Throws what reading and storing audio throws.
 */
export async function audioLike(
  store: ArtifactStore,
  tenant: string,
  piece: Artifact,
  first: Artifact,
  { ffmpeg = DEFAULT_FFMPEG, signal }: Pick<AudioPortOptions, 'ffmpeg' | 'signal'> = {},
): Promise<Artifact> {
  const open = (audio: Artifact) => openAudio(store, tenant, audio, { program: ffmpeg, signal });
  const sampleRate = first.sampleRate ?? (await measure(open(first).bytes)).found.sampleRate;
  const { bytes, decoded } = open(piece);
  const { found, frames } = await measure(bytes);
  if (decoded === undefined && isPlain(found) && found.sampleRate === sampleRate) return piece;
  const wanted = { sampleRate, channels: 1, frames: Math.round((frames * sampleRate) / found.sampleRate) };
  return await store.put(tenant, wavBytes(piece, open(piece), wanted), inspectorOf('audio'));
}

async function measure(bytes: AsyncIterable<Uint8Array>): Promise<{ found: WavFormat; frames: number }> {
  const reader = new WavReader();
  let received = 0;
  for await (const chunk of bytes) {
    for (const samples of reader.push(chunk)) {
      received += samples.length;
      refuseEndless(received, reader.format as WavFormat); // known before the first sample
    }
  }
  const { format, frames } = reader.end();
  return { found: format, frames };
}

async function* wavBytes(
  artifact: Artifact,
  opened: OpenAudio,
  wanted: { readonly sampleRate: number; readonly channels: number; readonly frames: number },
): AsyncGenerator<Uint8Array, void> {
  if (wanted.frames * wanted.channels * 2 > MOST_DATA_BYTES)
    throw invalidMedia('the audio is too long for one WAV file');
  yield wavHeader(wanted);
  for await (const channels of decodeAudio(artifact, opened, wanted)) {
    const { buffer, byteLength } = interleave(channels.map(toInt16));
    yield new Uint8Array(buffer, 0, byteLength);
  }
}

function interleave(channels: readonly Int16Array[]): Int16Array {
  const [first = new Int16Array()] = channels;
  if (channels.length === 1) return first;
  const frames = new Int16Array(first.length * channels.length);
  for (const [i, channel] of channels.entries()) {
    for (let at = 0; at < channel.length; at++) frames[at * channels.length + i] = channel[at] as number;
  }
  return frames;
}
