import type { ArtifactInfo, Inspector } from '../stores/artifacts/store.js';
import { WavReader } from './wav.js';

/** Lets a WAV file into the store, and nothing else. Throws `INVALID_MEDIA` saying what is wrong with the file. */
export class WavInspector implements Inspector {
  readonly #reader = new WavReader();

  push(chunk: Uint8Array): void {
    for (const _samples of this.#reader.push(chunk)); // only the headers and the count matter here
  }

  end(): ArtifactInfo {
    const { format, frames } = this.#reader.end();
    return {
      mime: 'audio/wav',
      durationMs: Math.round((frames * 1000) / format.sampleRate),
      sampleRate: format.sampleRate,
      channels: format.channels,
    };
  }
}
