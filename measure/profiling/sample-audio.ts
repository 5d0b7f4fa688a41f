import type { AudioPort } from '../../media/index.js';
import { decodeWav } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';

/** Hz that models of speech recognition take. */
const RATE = 16_000;
/** Share of a second by which two calls' audio differ, so that no cache of the server knows the second. */
const SHIFT_S = 0.013;
const UNHASHED = '0'.repeat(64);

/** Speech of any length, made of one recording said again and again; and a place for what models speak. No store is asked. */
export class SampleAudio implements AudioPort {
  readonly #spoken: Float32Array;

  private constructor(spoken: Float32Array) {
    this.#spoken = spoken;
  }

  /** `wav`: a WAV file's bytes. Throws `INVALID_MEDIA` for what is none, and for silence of no length. */
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
