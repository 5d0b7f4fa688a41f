/**
 * The number of a run inside its requests to the servers, so that a proxy can assign calls to runs without parsing the
 * protocols' messages: as words in a text, and as the first samples of a recording.
 */
const PATTERN = /\brun (\d{4})\b/;

export const textMark = (run: number): string => `run ${String(run).padStart(4, '0')}`;

/** A step that does not occur in speech; 16-bit samples this small are inaudible. */
const MAGIC = [3, -5, 7, -11] as const;

/** Six samples of 16 bits, at the recogniser's rate: resampling would change them. */
export const audioMark = (run: number): Int16Array => Int16Array.from([...MAGIC, run & 0xff, run >> 8]);

/** Sample format of the recogniser's client: 32-bit floats in [-1, 1], little-endian. */
const SAMPLE_BYTES = 4;
const FULL_SCALE = 0x8000;
const MAGIC_BYTES = Buffer.from(Float32Array.from(MAGIC, (sample) => sample / FULL_SCALE).buffer);

/** The number of the run that these bytes belong to; undefined without a mark. */
export function runOf(bytes: Buffer): number | undefined {
  const at = bytes.indexOf(MAGIC_BYTES);
  const low = at + MAGIC_BYTES.length;
  if (at >= 0 && low + 2 * SAMPLE_BYTES <= bytes.length) {
    const sample = (offset: number) => Math.round(bytes.readFloatLE(offset) * FULL_SCALE);
    return sample(low) + sample(low + SAMPLE_BYTES) * 0x100;
  }
  const found = PATTERN.exec(bytes.toString('latin1'));
  return found ? Number(found[1]) : undefined;
}

/** The stage of a call: in this suite each model serves one. */
export const stageOf = (bytes: Buffer): 'transcribe' | 'speak' =>
  bytes.includes(MAGIC_BYTES) ? 'transcribe' : 'speak';
