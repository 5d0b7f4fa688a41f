import { type AudioPort, clamp, joinedInts, toInt16, writeWav } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';

/** Speech and most audio models work at 16 or 24 kHz; of a file that does not state its rate the higher is kept. */
const DEFAULT_HZ = 24_000;

/** Audio of any encoding as a mono 16-bit WAV file; undefined once it takes more than `most` bytes. */
export async function wavFile(
  audio: AudioPort,
  artifact: Artifact,
  most: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const sampleRate = artifact.sampleRate ?? DEFAULT_HZ;
  const pieces: Int16Array[] = [];
  let length = 0;
  for await (const samples of audio.read(artifact, { sampleRate })) {
    signal.throwIfAborted();
    length += samples.length;
    if (length * Int16Array.BYTES_PER_ELEMENT > most) return undefined;
    pieces.push(toInt16(clamp(samples.slice())));
  }
  return Buffer.concat([...writeWav(joinedInts(pieces), { sampleRate })]);
}
