import { invalidMedia } from '../../media/wav-format.js';

/** A frame of 4K at the quality that is asked for has a few MB. */
const LARGEST = 32 * 1024 * 1024;
const END = Buffer.from([0xff, 0xd9]);

/**
 * The JPEG files of a stream of them. Within a file the end marker occurs at its end only: entropy-coded data escape every
 * 0xff (ITU-T T.81 §B.1.1.5), and ffmpeg's encoder writes no thumbnails.
 */
export async function* jpegsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    // The marker may be split between chunks.
    let from = Math.max(0, held.length - 1);
    held = Buffer.concat([held, chunk]);
    for (let end = held.indexOf(END, from); end >= 0; end = held.indexOf(END, from)) {
      yield Uint8Array.from(held.subarray(0, end + END.length));
      held = held.subarray(end + END.length);
      from = 0;
    }
    if (held.length > LARGEST) throw invalidMedia(`a frame takes more than ${LARGEST} bytes`);
  }
}
