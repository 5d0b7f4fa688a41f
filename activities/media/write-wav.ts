const HEADER_BYTES = 44;

/** A 16-bit mono WAV file: its header, then its samples, little-endian as RIFF has them. */
export function* writeWav(
  samples: Int16Array,
  { sampleRate }: { readonly sampleRate: number },
): Generator<Uint8Array, void> {
  yield wavHeader(samples.length * 2, sampleRate);
  // 32 Ki samples a piece keep the store's writes small; Node runs on little-endian machines only, so views are the bytes.
  const step = 32 * 1024;
  for (let at = 0; at < samples.length; at += step) {
    const part = samples.subarray(at, at + step);
    yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  }
}

function wavHeader(dataBytes: number, sampleRate: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(HEADER_BYTES - 8 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // channels
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return header;
}
