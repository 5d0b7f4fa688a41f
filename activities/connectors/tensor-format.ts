import { MillraceError } from '../../pipelines/errors.js';
import { DTYPES, type Dtype, type Tensor } from '../../pipelines/media.js';

/** Expected form of a tensor: element type, and the size of each dimension, -1 for one that varies. */
export interface TensorFormat {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** It is passed by reference, as a file. */
  readonly file?: 'npy' | 'raw';
}

/** By tensor name; null for one that its author described by a schema other than `tensor()`. */
export type TensorFormats = Readonly<Record<string, TensorFormat | null>>;
export type NamedTensors = Readonly<Record<string, Tensor>>;

type Code = 'INVALID_INPUT' | 'INVALID_OUTPUT';

/** The limit of `tensor()` schemas: a tensor is stored by value in the run's history. */
const MOST_ELEMENTS = 100_000;

/**
 * Checks that `values` are the tensors that `formats` names: each present, with the stated element type, rank and
 * dimensions, and as many elements as the shape needs, each in its type's range. Other values are refused in an input
 * and dropped from an output: a server may return more than was requested.
 *
 * Throws `code`, naming the tensor and, for a wrong element, its index.
 * @param most elements of one tensor
 */
export function checkTensors(
  values: Readonly<Record<string, unknown>>,
  formats: TensorFormats,
  code: Code,
  most = MOST_ELEMENTS,
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
      const problem = problemOf(value, format, most);
      if (problem !== undefined) throw wrong(name, problem);
      return [name, value as Tensor];
    }),
  );
}

function problemOf(value: unknown, format: TensorFormat | null, most: number): string | undefined {
  if (typeof value !== 'object' || value === null) return 'not a tensor';
  const { dtype, shape, data } = value as Partial<Tensor>;
  if (!isDtype(dtype)) return `unknown element type ${dtype}`;
  if (format && dtype !== format.dtype) return `${dtype} instead of ${format.dtype}`;
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    return `${JSON.stringify(shape)} is not a shape`;
  }
  if (format && !fits(shape, format.shape)) return `shape [${shape}] instead of [${format.shape}]`;
  if (!Array.isArray(data)) return 'it has no data';
  const size = shape.reduce((product, length) => product * length, 1);
  if (data.length !== size) return `${data.length} elements for shape [${shape}], which takes ${size}`;
  if (size > most) return `${size} elements; at most ${most} can be passed by value`;
  const accepts = ACCEPTS[dtype];
  const odd = data.findIndex((element) => !accepts(element));
  return odd === -1 ? undefined : `element ${odd}, ${JSON.stringify(data[odd])}, is not ${NOUNS[dtype] ?? dtype}`;
}

const isDtype = (dtype: unknown): dtype is Dtype => (DTYPES as readonly unknown[]).includes(dtype);

const fits = (shape: readonly number[], wanted: readonly number[]): boolean =>
  shape.length === wanted.length && wanted.every((size, i) => size === -1 || size === shape[i]);

const listed = (named: object): string => Object.keys(named).join(', ') || 'none';

/** Nouns for elements of types that are not numbers. */
const NOUNS: Partial<Record<Dtype, string>> = { BOOL: 'a boolean', BYTES: 'a text' };

const integer = (least: number, most: number) => (element: unknown) =>
  typeof element === 'number' && Number.isInteger(element) && element >= least && element <= most;

/** Sign, and up to the 20 digits of 2^64. */
const DECIMAL = /^-?\d{1,20}$/;

/** A number beyond 2^53 has already lost digits; only a decimal text can represent such an integer. */
const wide = (least: bigint, most: bigint) => (element: unknown) => {
  if (!Number.isSafeInteger(element) && !(typeof element === 'string' && DECIMAL.test(element))) return false;
  const value = BigInt(element as number | string);
  return value >= least && value <= most;
};

/** From this magnitude on a number rounds to infinity. NaN compares false. */
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
  // Half-way between the largest FP16 value, 65504, and the next step.
  FP16: float(65_520),
  // The same for FP32's largest value, 2^128 - 2^104.
  FP32: float(2 ** 128 - 2 ** 103),
  FP64: float(Number.POSITIVE_INFINITY),
  // Half-way between the largest BF16 value and the next step.
  BF16: float(2 ** 128 - 2 ** 119),
  BYTES: (element) => typeof element === 'string',
};

/**
 * Most elements of a canary of zeros: an image of 224 × 224 pixels in three colours, 300 kB as JSON. A larger canary
 * would cost the server more than its result is worth.
 */
export const MOST_ZEROS = 150_528;
