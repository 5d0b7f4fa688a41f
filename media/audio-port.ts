import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { describeConversion, describeDamage, type OnConversion } from './conversion.js';
import { decodeAudio } from './decode-audio.js';
import { inspectorOf } from './inspectors.js';
import { openAudio } from './open-audio.js';
import { writeWav } from './write-wav.js';

/** Media as samples: connectors need no knowledge of files or formats. */
export interface AudioPort {
  /** Mono samples in [-1, 1] at `sampleRate` Hz, resampled and mixed down as needed, in chunks of bounded size. */
  read(artifact: Artifact, format: { readonly sampleRate: number }): AsyncIterable<Float32Array>;
  /** Stores 16-bit mono samples as WAV. */
  write(samples: Int16Array, format: { readonly sampleRate: number }): Promise<Artifact>;
}

export interface AudioPortOptions {
  /** Called once for each read that resamples, mixes down or decodes, and again if the file is damaged. */
  readonly onConversion?: OnConversion | undefined;
  /** The ffmpeg program, for encodings other than WAV. Default: `ffmpeg` on PATH. */
  readonly ffmpeg?: string | undefined;
  /** Aborts reading and decoding. Leaving a read early does the same. */
  readonly signal?: AbortSignal | undefined;
}

export const DEFAULT_FFMPEG = 'ffmpeg';

/**
 * Reads and writes the audio of one tenant's artifacts. Another tenant's address is `ARTIFACT_NOT_FOUND`, as if it did
 * not exist.
 */
export function createAudioPort(store: ArtifactStore, tenant: string, options: AudioPortOptions = {}): AudioPort {
  const { onConversion, ffmpeg = DEFAULT_FFMPEG, signal } = options;
  return {
    read(artifact, { sampleRate }) {
      const opened = openAudio(store, tenant, artifact, {
        program: ffmpeg,
        signal,
        onDamage: (text) => onConversion?.(describeDamage(text)),
      });
      const wanted = { sampleRate, channels: 1 };
      return firstOf(
        decodeAudio(artifact, opened, wanted, (found) => {
          const text = describeConversion(found, wanted, opened.decoded);
          if (text !== undefined) onConversion?.(text);
        }),
      );
    },
    write: (samples, format) => store.put(tenant, asStream(writeWav(samples, format)), inspectorOf('audio')),
  };
}

/** The first channel. */
export async function* firstOf(blocks: AsyncIterable<readonly Float32Array[]>): AsyncGenerator<Float32Array, void> {
  for await (const [channel] of blocks) yield channel as Float32Array;
}

async function* asStream<T>(items: Iterable<T>): AsyncGenerator<T, void> {
  yield* items;
}
