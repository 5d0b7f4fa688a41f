import { A_LAW, MU_LAW } from '../../media/g711.js';
import { joinedFloats } from '../../media/samples.js';
import type { SampleEncoding } from '../../media/wav-format.js';

export interface WavOptions {
  readonly encoding?: SampleEncoding;
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly seconds?: number;
  /** Frequency of the sine in Hz, the same on every channel; 0 = silence. */
  readonly hz?: number;
  readonly amplitude?: number;
  readonly extensible?: boolean;
  /** Chunks between `fmt ` and `data`. */
  readonly before?: readonly Buffer[];
  readonly after?: readonly Buffer[];
  /** What the `data` header says; default: the truth. */
  readonly dataSize?: number;
  readonly riffSize?: number;
  readonly riff?: string;
}

const BYTES: Record<SampleEncoding, number> = { u8: 1, s16: 2, s24: 3, s32: 4, f32: 4, f64: 8, mulaw: 1, alaw: 1 };
const TAGS: Readonly<Partial<Record<SampleEncoding, number>>> = { f32: 3, f64: 3, alaw: 6, mulaw: 7 };

/** A RIFF chunk, padded to an even size. */
export function riffChunk(id: string, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.write(id, 0, 'latin1');
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body, Buffer.alloc(body.length % 2)]);
}

/** A sine as a WAV file of any encoding that Millrace reads. */
export function wavFile(options: WavOptions = {}): Buffer {
  const { encoding = 's16', sampleRate = 16_000, channels = 1, seconds = 0.1, hz = 440, amplitude = 0.5 } = options;
  const frames = Math.round(seconds * sampleRate);
  const size = BYTES[encoding];
  const data = Buffer.alloc(frames * channels * size);
  for (let frame = 0; frame < frames; frame++) {
    const value = amplitude * Math.sin((2 * Math.PI * hz * frame) / sampleRate);
    for (let channel = 0; channel < channels; channel++) {
      writeSample(data, (frame * channels + channel) * size, encoding, value);
    }
  }
  return wavOf(data, options);
}

/** A WAV file around samples that are already encoded. */
export function wavOf(data: Buffer, options: WavOptions = {}): Buffer {
  const { encoding = 's16', sampleRate = 16_000, channels = 1, extensible = false, before = [], after = [] } = options;
  const size = BYTES[encoding];
  const tag = TAGS[encoding] ?? 1;
  const fmt = Buffer.alloc(extensible ? 40 : 16);
  fmt.writeUInt16LE(extensible ? 0xfffe : tag, 0);
  fmt.writeUInt16LE(channels, 2);
  fmt.writeUInt32LE(sampleRate, 4);
  fmt.writeUInt32LE(sampleRate * channels * size, 8);
  fmt.writeUInt16LE(channels * size, 12);
  fmt.writeUInt16LE(size * 8, 14);
  if (extensible) {
    fmt.writeUInt16LE(22, 16);
    fmt.writeUInt16LE(size * 8, 18);
    fmt.writeUInt16LE(tag, 24);
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(fmt, 26);
  }
  const dataChunk = riffChunk('data', data);
  dataChunk.writeUInt32LE(options.dataSize ?? data.length, 4);
  const body = Buffer.concat([Buffer.from('WAVE', 'latin1'), riffChunk('fmt ', fmt), ...before, dataChunk, ...after]);
  const file = riffChunk(options.riff ?? 'RIFF', body);
  file.writeUInt32LE(options.riffSize ?? body.length, 4);
  return file;
}

function writeSample(into: Buffer, at: number, encoding: SampleEncoding, value: number): void {
  if (encoding === 'u8') into.writeUInt8(Math.round(value * 127) + 128, at);
  else if (encoding === 's16') into.writeInt16LE(Math.round(value * 0x7fff), at);
  else if (encoding === 's24') into.writeIntLE(Math.round(value * 0x7fffff), at, 3);
  else if (encoding === 's32') into.writeInt32LE(Math.round(value * 0x7fffffff), at);
  else if (encoding === 'f32') into.writeFloatLE(value, at);
  else if (encoding === 'mulaw') into.writeUInt8(nearest(MU_LAW, value), at);
  else if (encoding === 'alaw') into.writeUInt8(nearest(A_LAW, value), at);
  else into.writeDoubleLE(value, at);
}

/** The code whose sample is nearest to a value. */
const nearest = (samples: Float32Array, value: number): number =>
  samples.reduce(
    (best, each, code) => (Math.abs(each - value) < Math.abs((samples[best] ?? 0) - value) ? code : best),
    0,
  );

/** The bytes in pieces of `size`, as a stream gives them. */
export async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** All samples of a stream in one array. */
export async function collect(stream: AsyncIterable<Float32Array>): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for await (const part of stream) parts.push(part);
  return joinedFloats(parts);
}
