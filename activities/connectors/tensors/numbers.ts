import { CODECS, type Fixed, invalid, isDtype, sizeOf, type Tensor } from '../../../protocols/open-inference/index.js';

const views = {
  UINT8: Uint8Array,
  INT8: Int8Array,
  UINT16: Uint16Array,
  INT16: Int16Array,
  UINT32: Uint32Array,
  INT32: Int32Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

export type Numbers = Float64Array | Float32Array;

/**
 * The numbers of a tensor of any type but BYTES; booleans are 0 and 1. Throws `INVALID_OUTPUT` naming the tensor for
 * bytes that do not fit its shape, and, unless `infinite`, for a number that is not finite; NaN never is.
 */
export function numbersOf(tensor: Tensor, { infinite = false }: { readonly infinite?: boolean } = {}): Numbers {
  const { datatype, shape, raw } = tensor;
  if (!isDtype(datatype) || datatype === 'BYTES') throw invalid(tensor, `${datatype} instead of numbers`);
  const { width } = CODECS[datatype];
  const count = sizeOf(shape);
  if (raw.length !== count * width) {
    throw invalid(tensor, `${raw.length} bytes for shape [${shape}], which takes ${count * width}`);
  }
  const numbers = read(datatype, raw, count);
  for (let i = 0; i < count; i++) {
    const value = numbers[i] as number;
    if (!(Number.isFinite(value) || (infinite && !Number.isNaN(value))))
      throw invalid(tensor, `element ${i} is ${value}`);
  }
  return numbers;
}

function read(datatype: Fixed, raw: Buffer, count: number): Numbers {
  const View = views[datatype as keyof typeof views];
  if (View) {
    // A copy: messages do not align their tensors.
    const bytes = new Uint8Array(raw);
    const own = new View(bytes.buffer, 0, count);
    return own instanceof Float32Array || own instanceof Float64Array ? own : Float64Array.from(own);
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const { width, read: element } = CODECS[datatype];
  return Float64Array.from({ length: count }, (_, i) => Number(element(view, i * width)));
}

/** Bytes of one number in a type; integers are rounded and kept in the type's range. */
export function bytesOfNumber(dtype: Fixed, value: number): Buffer {
  const { width, write } = CODECS[dtype];
  const raw = Buffer.alloc(width);
  write(new DataView(raw.buffer, raw.byteOffset, width), 0, fitting(dtype, value));
  return raw;
}

/** Numbers as the bytes of a type; integers are rounded and kept in the type's range. */
export function rawOf(dtype: Fixed, values: ArrayLike<number>): Buffer {
  if (dtype === 'FP32') return bytesOf(Float32Array.from(values));
  const { width, write } = CODECS[dtype];
  const raw = Buffer.alloc(values.length * width);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let i = 0; i < values.length; i++) write(view, i * width, fitting(dtype, values[i] as number));
  return raw;
}

/** Samples as whole numbers of 16 bits, without a step for each of what may be thirty million. */
export function pcm16(samples: Float32Array, scale: number): Buffer {
  const whole = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    whole[i] = Math.min(32_767, Math.max(-32_768, Math.round((samples[i] as number) * scale)));
  }
  return bytesOf(whole);
}

/** Typed arrays are little-endian on every platform that Node supports, as tensors are. */
export const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

function fitting(dtype: Fixed, value: number): number | boolean {
  if (dtype === 'BOOL') return value !== 0;
  const [, unsigned, bits] = /^(U?)INT(\d+)$/.exec(dtype) ?? [];
  if (bits === undefined) return value;
  // Numbers beyond 2^53 have lost digits, and 2^63 itself would not fit.
  const magnitude = Math.min(2 ** (Number(bits) - Number(!unsigned)) - 1, Number.MAX_SAFE_INTEGER);
  const [least, most] = unsigned ? [0, magnitude] : [-magnitude - 1, magnitude];
  return Math.min(most, Math.max(least, Math.round(value)));
}
