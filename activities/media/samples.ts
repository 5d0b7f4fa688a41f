import type { SampleEncoding, WavFormat } from './wav-format.js';

/** Reads the sample at a byte offset as a number in [-1, 1]; a float file may go beyond. */
type ReadSample = (view: DataView, at: number) => number;

const SAMPLE: Readonly<Record<SampleEncoding, { readonly bytes: number; readonly read: ReadSample }>> = {
  u8: { bytes: 1, read: (view, at) => (view.getUint8(at) - 128) / 0x80 },
  s16: { bytes: 2, read: (view, at) => view.getInt16(at, true) / 0x8000 },
  s24: { bytes: 3, read: (view, at) => (view.getInt8(at + 2) * 0x10000 + view.getUint16(at, true)) / 0x800000 },
  s32: { bytes: 4, read: (view, at) => view.getInt32(at, true) / 0x80000000 },
  f32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  f64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** Decodes whole frames to one channel: the mean of all, which cannot clip. Values are kept in [-1, 1]; NaN is silence. */
export function toMono(frames: Uint8Array, { encoding, channels, frameBytes }: WavFormat): Float32Array {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const { bytes, read } = SAMPLE[encoding];
  const mono = new Float32Array(Math.floor(frames.length / frameBytes));
  for (let frame = 0, at = 0; frame < mono.length; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += read(view, at);
    mono[frame] = sum / channels;
  }
  return clamp(mono);
}

/** Keeps samples in [-1, 1], in place. */
export function clamp(samples: Float32Array): Float32Array {
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] as number;
    if (value > 1) samples[i] = 1;
    else if (value < -1) samples[i] = -1;
    else if (Number.isNaN(value)) samples[i] = 0;
  }
  return samples;
}
