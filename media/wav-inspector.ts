import type { ArtifactInfo, Inspector } from '../stores/artifacts/store.js';
import { WavReader } from './wav.js';

/** Admits only WAV files into the store. Throws `INVALID_MEDIA` with the reason. */
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
