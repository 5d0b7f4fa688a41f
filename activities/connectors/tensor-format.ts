import { MillraceError } from '../../pipelines/errors.js';
import { DTYPES, type Dtype, type Tensor } from '../../pipelines/media.js';

/** What is known of a tensor before it exists: element type, and size of each dimension, -1 for one that varies. */
export interface TensorFormat {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** By tensor name; null for one whose author described it by another schema than `tensor()`. */
export type TensorFormats = Readonly<Record<string, TensorFormat | null>>;
export type NamedTensors = Readonly<Record<string, Tensor>>;

type Code = 'INVALID_INPUT' | 'INVALID_OUTPUT';

/** The bound that `tensor()` schemas have: a tensor passes by value through the run's history. */
const MOST_ELEMENTS = 100_000;

/**
 * Whether `values` are the tensors that `formats` names: each one there, of the element type, rank and dimensions stated,
 * with as many elements as its shape takes, every one of which its type can hold. Values that no format names are refused
 * in an input and left out of an output: a server may give more than it is asked for.
 *
 * Throws `code`, naming the tensor and, if it is an element that is wrong, which.
 */
export function checkTensors(
  values: Readonly<Record<string, unknown>>,
  formats: TensorFormats,
  code: Code,
): NamedTensors {
  const wrong = (name: string, problem: string) =>
    new MillraceError(code, `${code === 'INVALID_INPUT' ? 'input' : 'output'} tensor ${name}: ${problem}`, {
      fields: [{ field: name, message: problem }],
    });
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(formats, name));
  if (unknown !== undefined && code === 'INVALID_INPUT') {
    throw wrong(unknown, `the stage has no such tensor (it has: ${listed(formats)})`);
  }
  return Object.fromEntries(
    Object.entries(formats).map(([name, format]) => {
      if (!Object.hasOwn(values, name)) throw wrong(name, `it is missing (there is: ${listed(values)})`);
      const value = values[name];
      const problem = problemOf(value, format);
      if (problem !== undefined) throw wrong(name, problem);
      return [name, value as Tensor];
    }),
  );
}

function problemOf(value: unknown, format: TensorFormat | null): string | undefined {
  if (typeof value !== 'object' || value === null) return 'not a tensor';
  const { dtype, shape, data } = value as Partial<Tensor>;
  if (!isDtype(dtype)) return `elements of type ${dtype} are not known`;
  if (format && dtype !== format.dtype) return `${dtype} instead of ${format.dtype}`;
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    return `${JSON.stringify(shape)} is not a shape`;
  }
  if (format && !fits(shape, format.shape)) return `shape [${shape}] instead of [${format.shape}]`;
  if (!Array.isArray(data)) return 'it has no data';
  const size = shape.reduce((product, length) => product * length, 1);
  if (data.length !== size) return `${data.length} elements for shape [${shape}], which takes ${size}`;
  if (size > MOST_ELEMENTS) return `${size} elements; the most by value are ${MOST_ELEMENTS}`;
  const accepts = ACCEPTS[dtype];
  const odd = data.findIndex((element) => !accepts(element));
  return odd === -1 ? undefined : `element ${odd}, ${JSON.stringify(data[odd])}, is not ${NOUNS[dtype] ?? dtype}`;
}

const isDtype = (dtype: unknown): dtype is Dtype => (DTYPES as readonly unknown[]).includes(dtype);

const fits = (shape: readonly number[], wanted: readonly number[]): boolean =>
  shape.length === wanted.length && wanted.every((size, i) => size === -1 || size === shape[i]);

const listed = (named: object): string => Object.keys(named).join(', ') || 'none';

/** What a person calls an element of the types that are not numbers. */
const NOUNS: Partial<Record<Dtype, string>> = { BOOL: 'a boolean', BYTES: 'a text' };

const integer = (least: number, most: number) => (element: unknown) =>
  typeof element === 'number' && Number.isInteger(element) && element >= least && element <= most;

/** Sign, and up to the 20 digits that 2^64 has. */
const DECIMAL = /^-?\d{1,20}$/;

/** A number beyond 2^53 has lost digits before it came here: only a decimal text can hold such an integer. */
const wide = (least: bigint, most: bigint) => (element: unknown) => {
  if (!Number.isSafeInteger(element) && !(typeof element === 'string' && DECIMAL.test(element))) return false;
  const value = BigInt(element as number | string);
  return value >= least && value <= most;
};

/** Of this magnitude and above a number would round to infinity. NaN is below nothing. */
const float = (limit: number) => (element: unknown) => typeof element === 'number' && Math.abs(element) < limit;

const ACCEPTS: Readonly<Record<Dtype, (element: unknown) => boolean>> = {
  BOOL: (element) => typeof element === 'boolean',
  UINT8: integer(0, 2 ** 8 - 1),
  UINT16: integer(0, 2 ** 16 - 1),
  UINT32: integer(0, 2 ** 32 - 1),
  UINT64: wide(0n, 2n ** 64n - 1n),
  INT8: integer(-(2 ** 7), 2 ** 7 - 1),
  INT16: integer(-(2 ** 15), 2 ** 15 - 1),
  INT32: integer(-(2 ** 31), 2 ** 31 - 1),
  INT64: wide(-(2n ** 63n), 2n ** 63n - 1n),
  // Half-way between the largest, 65504, and where the next one would be.
  FP16: float(65_520),
  // The same for the largest of 32 bits, 2^128 - 2^104.
  FP32: float(2 ** 128 - 2 ** 103),
  FP64: float(Number.POSITIVE_INFINITY),
  BYTES: (element) => typeof element === 'string',
};

/**
 * The most elements of a canary of zeros: an image of 224 × 224 pixels in three colours, 300 kB as JSON. One of more would cost
 * the server more than it tells.
 */
export const MOST_ZEROS = 150_528;
