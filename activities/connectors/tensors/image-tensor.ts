import type { Pixels } from '../../../media/index.js';
import { CODECS, type Fixed } from '../../../protocols/open-inference/index.js';
import type { InputEntry } from './map-schema.js';
import { bytesOfNumber } from './numbers.js';

const LEVELS = 256;

/**
 * Pixels as the bytes of a tensor: each value `(value × scale − mean) ÷ std` by channel, in the order of the layout and
 * the colours. The 256 values of a channel are converted once, whatever the type.
 */
export function pixelBytes(
  { data, width, height, channels }: Pixels,
  { layout, colors, scale = 1, mean = 0, std = 1 }: Pick<InputEntry, 'layout' | 'colors' | 'scale' | 'mean' | 'std'>,
  dtype: Fixed,
): Buffer {
  const bytes = CODECS[dtype].width;
  const count = width * height;
  const raw = Buffer.allocUnsafeSlow(count * channels * bytes);
  for (let channel = 0; channel < channels; channel++) {
    const [less, by] = [ofChannel(mean, channel), ofChannel(std, channel)];
    const table = Array.from({ length: LEVELS }, (_, level) => bytesOfNumber(dtype, (level * scale - less) / by));
    const from = colors === 'bgr' ? channels - 1 - channel : channel;
    const [start, step] = layout === 'CHW' ? [channel * count, 1] : [channel, channels];
    spread(raw, bytes, table, { data, from, channels, count, start, step });
  }
  return raw;
}

interface Spread {
  readonly data: Buffer;
  readonly from: number;
  readonly channels: number;
  readonly count: number;
  readonly start: number;
  readonly step: number;
}

/** Writes one channel: aligned words where the width allows it, which is ten times faster than single bytes. */
function spread(raw: Buffer, width: number, table: readonly Buffer[], at: Spread): void {
  const { data, from, channels, count, start, step } = at;
  if (width === 1 || width === 2 || width === 4) {
    const Words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[width];
    const to = new Words(raw.buffer as ArrayBuffer, raw.byteOffset, raw.length / width);
    const words = table.map((entry) => entry.readUIntLE(0, width));
    for (let i = 0; i < count; i++) to[start + i * step] = words[data[i * channels + from] as number] as number;
    return;
  }
  for (let i = 0; i < count; i++) {
    table[data[i * channels + from] as number]?.copy(raw, (start + i * step) * width);
  }
}

/** A value for all channels, or one of each; the last one serves those beyond. */
const ofChannel = (values: number | readonly number[], channel: number): number =>
  typeof values === 'number' ? values : (values[channel] ?? values.at(-1) ?? 0);
