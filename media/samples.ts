import { A_LAW, MU_LAW } from './g711.js';
import type { SampleEncoding, WavFormat } from './wav-format.js';

/** Reads the sample at a byte offset as a number in [-1, 1]; values of a float file may exceed it. */
type ReadSample = (view: DataView, at: number) => number;

const SAMPLE: Readonly<Record<SampleEncoding, { readonly bytes: number; readonly read: ReadSample }>> = {
  u8: { bytes: 1, read: (view, at) => (view.getUint8(at) - 128) / 0x80 },
  s16: { bytes: 2, read: (view, at) => view.getInt16(at, true) / 0x8000 },
  s24: { bytes: 3, read: (view, at) => (view.getInt8(at + 2) * 0x10000 + view.getUint16(at, true)) / 0x800000 },
  s32: { bytes: 4, read: (view, at) => view.getInt32(at, true) / 0x80000000 },
  f32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  f64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  mulaw: { bytes: 1, read: (view, at) => MU_LAW[view.getUint8(at)] as number },
  alaw: { bytes: 1, read: (view, at) => A_LAW[view.getUint8(at)] as number },
};

/**
 * Decodes whole frames to `wanted` channels: the file's channels if the counts agree, otherwise the mean of all on
 * each, which cannot clip. Values are clamped to [-1, 1]; NaN becomes silence.
 */
export function toChannels(frames: Uint8Array, format: WavFormat, wanted: number): Float32Array[] {
  if (wanted !== format.channels || wanted === 1) {
    const mono = toMono(frames, format);
    return Array.from({ length: wanted }, () => mono);
  }
  return Array.from({ length: wanted }, (_, channel) => mix(frames, format, channel, channel + 1));
}

/** Decodes whole frames to one channel, the mean of all. */
export const toMono = (frames: Uint8Array, format: WavFormat): Float32Array => mix(frames, format, 0, format.channels);

/** The mean of the channels in [first, last). */
function mix(frames: Uint8Array, format: WavFormat, first: number, last: number): Float32Array {
  const { encoding, frameBytes } = format;
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const { bytes, read } = SAMPLE[encoding];
  const mixed = new Float32Array(Math.floor(frames.length / frameBytes));
  for (let frame = 0; frame < mixed.length; frame++) {
    let sum = 0;
    for (let channel = first; channel < last; channel++) sum += read(view, frame * frameBytes + channel * bytes);
    mixed[frame] = sum / (last - first);
  }
  return clamp(mixed);
}

/** The pieces one behind the other. */
export function joinedFloats(pieces: readonly Float32Array[]): Float32Array {
  return filled(new Float32Array(lengthOf(pieces)), pieces);
}

/** The same for 16-bit samples. */
export function joinedInts(pieces: readonly Int16Array[]): Int16Array {
  return filled(new Int16Array(lengthOf(pieces)), pieces);
}

const lengthOf = (pieces: readonly { readonly length: number }[]): number =>
  pieces.reduce((sum, { length }) => sum + length, 0);

function filled<T extends Float32Array | Int16Array>(whole: T, pieces: readonly T[]): T {
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Clamps samples to [-1, 1], in place. */
export function clamp(samples: Float32Array): Float32Array {
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] as number;
    if (value > 1) samples[i] = 1;
    else if (value < -1) samples[i] = -1;
    else if (Number.isNaN(value)) samples[i] = 0;
  }
  return samples;
}

/** Samples as 16-bit PCM. The exact inverse of reading such PCM. */
export function toInt16(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < pcm.length; i++) pcm[i] = Math.min(0x7fff, Math.round((samples[i] as number) * 0x8000));
  return pcm;
}
