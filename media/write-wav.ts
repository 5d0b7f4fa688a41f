export const WAV_HEADER_BYTES = 44;

/** Most bytes of samples in a file: sizes in a WAV header have 32 bits. */
export const MOST_DATA_BYTES = 0xffff_ff00;

/** Writes a 16-bit mono WAV file: the header, then the little-endian samples. */
export function* writeWav(
  samples: Int16Array,
  { sampleRate }: { readonly sampleRate: number },
): Generator<Uint8Array, void> {
  yield wavHeader({ sampleRate, channels: 1, frames: samples.length });
  // Pieces of 32 Ki samples keep the store's writes small. Views of the samples are the bytes: Node runs on
  // little-endian machines only.
  const step = 32 * 1024;
  for (let at = 0; at < samples.length; at += step) {
    const part = samples.subarray(at, at + step);
    yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }
}

/** The header of a 16-bit PCM WAV file of `frames` samples of each channel. */
export function wavHeader(format: {
  readonly sampleRate: number;
  readonly channels: number;
  readonly frames: number;
}): Uint8Array {
  const { sampleRate, channels, frames } = format;
  const frameBytes = channels * 2;
  const dataBytes = frames * frameBytes;
  const header = Buffer.alloc(WAV_HEADER_BYTES);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(WAV_HEADER_BYTES - 8 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * frameBytes, 28);
  header.writeUInt16LE(frameBytes, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}
