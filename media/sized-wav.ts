import { WavReader } from './wav.js';
import { invalidMedia } from './wav-format.js';
import { MOST_DATA_BYTES, wavHeader } from './write-wav.js';

/**
 * A 16-bit WAV file with its length in the header, of one that a program has written to a pipe and that has none. Memory is bounded: what
 * `open` opens is read twice, first for its length. Throws what reading throws, and `INVALID_MEDIA` for samples of more than 4 GiB.
 */
export async function sizedWav(open: () => AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const reader = new WavReader();
  for await (const chunk of open()) {
    for (const _samples of reader.push(chunk)); // only the headers and the count matter here
  }
  const { format, frames } = reader.end();
  if (frames * format.frameBytes > MOST_DATA_BYTES) throw invalidMedia('the audio is too long for one WAV file');
  return withHeader(wavHeader({ ...format, frames }), open());
}

async function* withHeader(header: Uint8Array, wav: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = new WavReader();
  yield header;
  for await (const chunk of wav) yield* reader.push(chunk);
}
