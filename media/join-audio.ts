import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { type AudioPortOptions, DEFAULT_FFMPEG } from './audio-port.js';
import { inspectorOf } from './inspectors.js';
import { openAudio } from './open-audio.js';
import { decodeWav, refuseEndless } from './pcm.js';
import { toInt16 } from './samples.js';
import { WavReader } from './wav.js';
import { isPlain, type WavFormat } from './wav-format.js';
import { wavHeader } from './write-wav.js';

type JoinOptions = Pick<AudioPortOptions, 'ffmpeg' | 'signal'>;

/**
 * Pieces of audio, one after the other, as one 16-bit mono WAV file with the sample rate of the first. The samples of
 * 16-bit mono pieces at that rate are taken as they are; others are converted. Memory is bounded. A single piece is
 * returned itself. Throws what reading and storing audio throws.
 */
export async function joinAudio(
  store: ArtifactStore,
  tenant: string,
  pieces: readonly [Artifact, ...Artifact[]],
  options: JoinOptions = {},
): Promise<Artifact> {
  const [first, ...others] = pieces;
  if (others.length === 0) return first;
  const measured = [await measure(store, tenant, first, options)];
  for (const each of others) measured.push(await measure(store, tenant, each, options));
  const sampleRate = (measured[0] as Measured).format.sampleRate;
  const frames = measured.reduce((sum, each) => sum + framesAt(each, sampleRate), 0);
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    yield wavHeader({ sampleRate, channels: 1, frames });
    for (const [i, piece] of pieces.entries())
      yield* samplesOf(store, tenant, piece, measured[i] as Measured, sampleRate, options);
  }
  return await store.put(tenant, bytes(), inspectorOf('audio'));
}

interface Measured {
  readonly format: WavFormat;
  readonly frames: number;
}

/** Length at another rate, which a resampler produces to within a sample. */
const framesAt = ({ format, frames }: Measured, sampleRate: number): number =>
  Math.round((frames * sampleRate) / format.sampleRate);

async function measure(store: ArtifactStore, tenant: string, piece: Artifact, options: JoinOptions): Promise<Measured> {
  const reader = new WavReader();
  let received = 0;
  for await (const chunk of open(store, tenant, piece, options)) {
    for (const samples of reader.push(chunk)) {
      received += samples.length;
      refuseEndless(received, reader.format as WavFormat);
    }
  }
  return reader.end();
}

async function* samplesOf(
  store: ArtifactStore,
  tenant: string,
  piece: Artifact,
  measured: Measured,
  sampleRate: number,
  options: JoinOptions,
): AsyncGenerator<Uint8Array, void> {
  const { format, frames } = measured;
  const bytes = open(store, tenant, piece, options);
  let left = 2 * framesAt(measured, sampleRate);
  if (isPlain(format) && format.sampleRate === sampleRate) {
    const reader = new WavReader();
    left = 2 * frames;
    for await (const chunk of bytes) {
      for (const samples of reader.push(chunk)) {
        const part = samples.subarray(0, left);
        left -= part.length;
        if (part.length > 0) yield part;
      }
    }
    return;
  }
  for await (const chunk of decodeWav(bytes, { sampleRate })) {
    const { buffer, byteOffset, byteLength } = toInt16(chunk);
    const part = new Uint8Array(buffer, byteOffset, Math.min(byteLength, left));
    left -= part.length;
    if (part.length > 0) yield part;
  }
  // The header states the length: what a resampler leaves out is silence.
  if (left > 0) yield new Uint8Array(left);
}

const open = (
  store: ArtifactStore,
  tenant: string,
  piece: Artifact,
  { ffmpeg = DEFAULT_FFMPEG, signal }: JoinOptions,
): AsyncIterable<Uint8Array> => openAudio(store, tenant, piece, { program: ffmpeg, signal }).bytes;
