import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { decodeAudio } from './decode-audio.js';
import { openAudio } from './open-audio.js';
import { toInt16 } from './samples.js';
import { WavReader } from './wav.js';
import { invalidMedia, isPlain, type WavFormat } from './wav-format.js';
import { wavHeader } from './write-wav.js';

/** Size of the samples in the header of a file whose length is not known: a placeholder that players accept. */
const UNKNOWN_BYTES = 0x7fff_f000;

export interface LiveAudio {
  readonly tenant: string;
  /** Pieces of the audio as they are made. It ends, or throws `over`, when no more are to come. */
  readonly pieces: AsyncIterable<Artifact>;
  /**
   * The whole audio, when the pieces have ended: what they lack is taken from it. Undefined: they lack nothing. Throws
   * why there is none.
   */
  readonly whole: () => Promise<Artifact | undefined>;
  /** It is a file that is stored already, of any encoding, rate and length. */
  readonly stored?: boolean;
}

interface LiveOptions {
  readonly ffmpeg: string;
  readonly signal: AbortSignal;
}

/**
 * Audio that is made while it is read, as one 16-bit mono WAV file: its header has no length. Behind the header its bytes
 * are those of the joined file.
 */
export async function* liveWav(
  store: ArtifactStore,
  { tenant, pieces, whole }: LiveAudio,
  { ffmpeg, signal }: LiveOptions,
): AsyncGenerator<Uint8Array, void> {
  let sampleRate: number | undefined;
  let given = 0;
  function* begin(rate: number): Generator<Uint8Array> {
    if (sampleRate !== undefined) return;
    sampleRate = rate;
    yield wavHeader({ sampleRate, channels: 1, frames: UNKNOWN_BYTES / 2 });
  }
  for await (const { uri } of pieces) {
    const reader = new WavReader();
    for await (const chunk of store.read(tenant, uri)) {
      for (const samples of reader.push(chunk)) {
        const format = reader.format as WavFormat;
        if (!isPlain(format) || format.sampleRate !== (sampleRate ?? format.sampleRate))
          throw invalidMedia(
            'a piece of the audio has another format than the first; it can be had when the run has ended',
          );
        yield* begin(format.sampleRate);
        given += samples.length;
        yield samples;
      }
    }
  }
  const rest = await whole();
  if (rest === undefined) return;
  let skip = given;
  const behind = (samples: Uint8Array): Uint8Array => {
    const part = samples.subarray(Math.min(skip, samples.length));
    skip -= samples.length - part.length;
    return part;
  };
  const open = () => openAudio(store, tenant, rest, { program: ffmpeg, signal });
  const reader = new WavReader();
  for await (const chunk of open().bytes) {
    for (const samples of reader.push(chunk)) {
      const format = reader.format as WavFormat;
      if (!isPlain(format)) {
        yield* begin(format.sampleRate);
        const wanted = { sampleRate: sampleRate ?? format.sampleRate, channels: 1 };
        for await (const [mono] of decodeAudio(rest, open(), wanted)) {
          const { buffer, byteOffset, byteLength } = toInt16(mono as Float32Array);
          yield behind(new Uint8Array(buffer, byteOffset, byteLength));
        }
        return;
      }
      yield* begin(format.sampleRate);
      const part = behind(samples);
      if (part.length > 0) yield part;
    }
  }
}
