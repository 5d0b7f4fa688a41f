import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { WavReader } from './wav.js';
import { invalidMedia } from './wav-format.js';
import { wavHeader } from './write-wav.js';

/** Size of the samples in the header of a file whose length is not known: a placeholder that players accept. */
const UNKNOWN_BYTES = 0x7fff_f000;

/**
 * Pieces of 16-bit mono audio as one WAV file that is made while it is read: its header has no length. Behind the header
 * its bytes are those of the joined file.
 */
export async function* liveWav(
  store: Pick<ArtifactStore, 'read'>,
  tenant: string,
  pieces: AsyncIterable<Artifact>,
): AsyncGenerator<Uint8Array, void> {
  let sampleRate: number | undefined;
  for await (const { uri } of pieces) {
    const reader = new WavReader();
    for await (const chunk of store.read(tenant, uri)) {
      for (const samples of reader.push(chunk)) {
        const format = reader.format;
        if (
          format?.encoding !== 's16' ||
          format.channels !== 1 ||
          format.sampleRate !== (sampleRate ?? format.sampleRate)
        )
          throw invalidMedia(
            'a piece of the audio has another format than the first; it can be had when the run has ended',
          );
        if (sampleRate === undefined) {
          sampleRate = format.sampleRate;
          yield wavHeader({ sampleRate, channels: 1, frames: UNKNOWN_BYTES / 2 });
        }
        yield samples;
      }
    }
  }
}
