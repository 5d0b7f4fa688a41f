import type { AudioPort } from '../../media/index.js';
import { decodeWav } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';

/** Sample rate of speech recognition models, in Hz. */
const RATE = 16_000;
/** Offset between two calls' audio as a share of a second, so that the server's cache does not know the second one. */
const SHIFT_S = 0.013;
const UNHASHED = '0'.repeat(64);

/** Speech of any length, made by repeating one recording, and a sink for synthesized audio. No store is used. */
export class SampleAudio implements AudioPort {
  readonly #spoken: Float32Array;

  private constructor(spoken: Float32Array) {
    this.#spoken = spoken;
  }

  /** `wav`: a WAV file's bytes. Throws `INVALID_MEDIA` for other files and for empty audio. */
  static async of(wav: Uint8Array, name: string): Promise<SampleAudio> {
    const chunks: number[] = [];
    for await (const chunk of decodeWav(whole(wav), { sampleRate: RATE })) for (const each of chunk) chunks.push(each);
    if (chunks.length > 0) return new SampleAudio(Float32Array.from(chunks));
    throw new MillraceError('INVALID_MEDIA', `${name} has no audio`, {
      fields: [{ field: '--audio', message: `${name} has no audio` }],
    });
  }

  /** Seconds of speech that no other `serial` has had. */
  artifact(seconds: number, serial: number): Artifact {
    const mime = 'audio/wav';
    return { uri: `sample:${seconds}:${serial}`, sha256: UNHASHED, mime, bytes: 2 * Math.round(seconds * RATE) };
  }

  async *read({ uri }: Artifact, { sampleRate }: { readonly sampleRate: number }): AsyncGenerator<Float32Array, void> {
    const [, seconds = 0, serial = 0] = uri.split(':').map(Number);
    const from = Math.round(serial * SHIFT_S * RATE);
    for (let at = 0; at < seconds; at += 1) {
      const length = Math.round(Math.min(1, seconds - at) * sampleRate);
      yield Float32Array.from({ length }, (_, i) => {
        const sample = from + Math.round(((at * sampleRate + i) * RATE) / sampleRate);
        return this.#spoken[sample % this.#spoken.length] ?? 0;
      });
    }
  }

  async write(samples: Int16Array): Promise<Artifact> {
    return { uri: 'sample:spoken', sha256: UNHASHED, mime: 'audio/wav', bytes: 2 * samples.length };
  }
}

async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
