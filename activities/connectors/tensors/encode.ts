import { decodeImage, type Pixels } from '../../../media/index.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Dtype } from '../../../pipelines/media.js';
import { badInput, bytesTensor, type Fixed, sizeOf, type Tensor } from '../../../protocols/open-inference/index.js';
import type { CallContext } from '../connector.js';
import type { BoundInput, BoundMap } from './bind.js';
import { pixelBytes } from './image-tensor.js';
import { pcm16, rawOf } from './numbers.js';

/**
 * What a stage gives to a request, by the names of `from`. Media come as what tensors are made of: an image as the
 * bytes of its file, audio as samples in [-1, 1].
 */
export interface Sources {
  readonly [from: string]: Source | undefined;
}
type Source = string | number | boolean | readonly (string | number | boolean)[] | Uint8Array | Float32Array | object;

export interface Encoded {
  readonly tensors: readonly Tensor[];
  /** The pixels of the image that were sent, to place boxes in the image given. */
  readonly pixels?: Pixels | undefined;
}

/** Whose turn it is where a call has no tenant, as in a measurement. */
const NO_TENANT = '';

/** The tensors of one request. Throws `INVALID_INPUT` naming the tensor, and what decoding an image throws. */
export async function encode(
  { inputs }: BoundMap,
  sources: Sources,
  { signal, tenant = NO_TENANT }: Pick<CallContext, 'signal' | 'tenant'>,
): Promise<Encoded> {
  let pixels: Pixels | undefined;
  const tensors: Tensor[] = [];
  // Images first: `imageSize` is known once one is decoded.
  for (const input of inputs.toSorted((a, b) => Number(b.from === 'image') - Number(a.from === 'image'))) {
    const given = input.value ?? (input.from === 'imageSize' ? sizeOfSource(pixels) : sources[input.from ?? '']);
    if (given === undefined) {
      if (input.optional) continue;
      throw badInput(input.name, `the stage gives no ${input.from}, which it carries`);
    }
    if (input.from === 'image' && input.encoding !== 'file') {
      const caller = { tenant, signal };
      pixels = isPixels(given) ? given : await decodeImage(given as Uint8Array, formatOf(input), caller);
      tensors.push(imageTensor(input, pixels));
    } else {
      tensors.push(tensorOf(input, given, sources));
    }
  }
  return { tensors, pixels };
}

const sizeOfSource = (pixels: Pixels | undefined) => pixels && [pixels.source.height, pixels.source.width];

const formatOf = ({ width, height, longest, fit, pad, colors }: BoundInput) => ({
  width,
  height,
  longest,
  fit,
  pad,
  colors: colors === 'gray' ? ('gray' as const) : ('rgb' as const),
});

const isPixels = (given: Source): given is Pixels => typeof given === 'object' && 'placed' in given;

/** An image in the input's shape; dimensions before the last three are 1. */
export function imageTensor(input: BoundInput, pixels: Pixels): Tensor {
  const { name, dtype, shape, layout } = input;
  const { width, height, channels } = pixels;
  const last = layout === 'CHW' ? [channels, height, width] : [height, width, channels];
  const before = shape.slice(0, -3).map((size) => Math.max(1, size));
  // Integers are pixels as they are; floats are shares of full brightness unless the map says otherwise.
  const scale = input.scale ?? (/^(FP|BF)/.test(dtype) ? 1 / 255 : 1);
  return {
    name,
    datatype: dtype,
    shape: [...before, ...last],
    raw: pixelBytes(pixels, { ...input, scale }, dtype as Fixed),
  };
}

function tensorOf(input: BoundInput, given: Source, sources: Sources): Tensor {
  const { name, dtype, encoding } = input;
  if (encoding === 'json') return one(input, Buffer.from(JSON.stringify(given), 'utf8'));
  if (given instanceof Uint8Array) {
    if (dtype === 'BYTES') return one(input, given);
    if (dtype !== 'UINT8') throw badInput(name, `a file goes into BYTES or UINT8, not ${dtype}`);
    return { name, datatype: dtype, shape: filled(input, given.length), raw: Buffer.from(given) };
  }
  if (given instanceof Float32Array) return samplesTensor(input, given);
  const values = Array.isArray(given) ? given : [given];
  const all = input.each ? repeated(values, sources.passages, name) : values;
  return valuesTensor(input, all);
}

function repeated(values: readonly unknown[], passages: Source | undefined, name: string): unknown[] {
  if (values.length !== 1 || !Array.isArray(passages)) throw badInput(name, 'only one value is sent for each passage');
  return passages.map(() => values[0]);
}

function valuesTensor(input: BoundInput, values: readonly unknown[]): Tensor {
  const { name, dtype } = input;
  const shape = filled(input, values.length);
  if (dtype === 'BYTES')
    return bytesTensor(
      name,
      shape,
      values.map((value) => Buffer.from(textOf(value), 'utf8')),
    );
  const numbers = values.map(Number);
  const odd = numbers.findIndex((number) => !Number.isFinite(number));
  if (odd !== -1) throw badInput(name, `${JSON.stringify(values[odd])} is not a number, and the tensor is ${dtype}`);
  const { scale = 1, mean = 0, std = 1 } = input;
  const [less, by] = [[mean].flat()[0] ?? 0, [std].flat()[0] ?? 1];
  return {
    name,
    datatype: dtype,
    shape,
    raw: rawOf(
      dtype,
      numbers.map((number) => (number * scale - less) / by),
    ),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Full scale of integer samples by type: 16-bit PCM, and its neighbours. */
const FULL: Partial<Record<Dtype, number>> = { INT8: 127, INT16: 32_767, INT32: 2_147_483_647 };

/** Samples; a shape of a fixed length is filled up with silence. */
function samplesTensor(input: BoundInput, samples: Float32Array): Tensor {
  const { name, dtype } = input;
  if (dtype === 'BYTES') throw badInput(name, 'samples go into numbers, not BYTES');
  const room = roomOf(input.shape);
  const whole = room === undefined || room === samples.length ? samples : padded(samples, room, name);
  const scale = input.scale ?? FULL[dtype] ?? 1;
  return {
    name,
    datatype: dtype,
    shape: filled(input, whole.length),
    raw:
      dtype === 'INT16'
        ? pcm16(whole, scale)
        : rawOf(dtype, scale === 1 ? whole : whole.map((sample) => sample * scale)),
  };
}

/** Elements of a shape of which only the batch varies; undefined if more does. */
export function roomOf(shape: readonly number[]): number | undefined {
  const open = shape.lastIndexOf(-1);
  return open > 0 || (open === 0 && shape.length === 1) ? undefined : sizeOf(shape.map((size) => Math.abs(size)));
}

function padded(samples: Float32Array, room: number, name: string): Float32Array {
  if (samples.length > room) throw badInput(name, `${samples.length} samples; the model takes ${room}`);
  const whole = new Float32Array(room);
  whole.set(samples);
  return whole;
}

/** A tensor of one BYTES element. */
function one(input: BoundInput, element: Uint8Array): Tensor {
  if (input.dtype !== 'BYTES') throw badInput(input.name, `one text or file goes into BYTES, not ${input.dtype}`);
  return bytesTensor(input.name, filled(input, 1), [element]);
}

/**
 * The shape of `count` elements: the last dimension that varies takes them, all others that vary are 1. Throws
 * `INVALID_INPUT` if the shape has another number.
 */
export function filled({ name, shape }: Pick<BoundInput, 'name' | 'shape'>, count: number): number[] {
  const open = shape.lastIndexOf(-1);
  const others = sizeOf(shape.map((size) => Math.abs(size)));
  const own = open === -1 ? count === others : others > 0 && count % others === 0;
  if (!own) throw badInput(name, `${count} values for the shape [${shape}]`);
  return shape.map((size, i) => (i === open ? count / others : size === -1 ? 1 : size));
}

/** For what a model answered with, where the stage needs something else. */
export const wrongOutput = (name: string, problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `output tensor ${name}: ${problem}`);
