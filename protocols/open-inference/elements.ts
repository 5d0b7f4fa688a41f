import type { Dtype } from '../../pipelines/media.js';
import { bfloatBits, bfloatValue, halfBits, halfValue } from './half.js';

/**
 * An element of a tensor in JSON: a boolean, a string (BYTES), a number, or a decimal string for a 64-bit integer
 * beyond 2^53.
 */
export type Element = number | string | boolean;

/** The element types of fixed width. BYTES has none: each element has a length prefix. */
export type Fixed = Exclude<Dtype, 'BYTES'>;

/** Encoding of the elements of one type in `raw_*_contents`: little-endian, `width` bytes each. */
export interface Codec {
  readonly width: number;
  /** Whether the type can represent the element; floats may round it. */
  accepts(element: unknown): boolean;
  /** `element` must be accepted. */
  write(view: DataView, at: number, element: Element): void;
  /** Floats may be NaN or infinite, which JSON does not have. */
  read(view: DataView, at: number): Element;
}

const isInteger = (least: number, most: number) => (element: unknown) =>
  typeof element === 'number' && Number.isInteger(element) && element >= least && element <= most;

const BITS = { 1: 8, 2: 16, 4: 32 } as const;
type Width = keyof typeof BITS;

function signed(width: Width): Codec {
  const name = `Int${BITS[width]}` as const;
  const most = 2 ** (8 * width - 1);
  return {
    width,
    accepts: isInteger(-most, most - 1),
    write: (view, at, element) => view[`set${name}`](at, Number(element), true),
    read: (view, at) => view[`get${name}`](at, true),
  };
}

function unsigned(width: Width): Codec {
  const name = `Uint${BITS[width]}` as const;
  return {
    width,
    accepts: isInteger(0, 2 ** (8 * width) - 1),
    write: (view, at, element) => view[`set${name}`](at, Number(element), true),
    read: (view, at) => view[`get${name}`](at, true),
  };
}

/** Sign and up to 20 digits, as many as 2^64 has. Leading zeros count. */
const DECIMAL = /^-?\d{1,20}$/;

function wide(least: bigint, most: bigint, set: 'setBigInt64' | 'setBigUint64'): Codec {
  const get = set === 'setBigInt64' ? 'getBigInt64' : 'getBigUint64';
  return {
    width: 8,
    // A number above 2^53 may have been rounded by its JSON parser: the sender must write it as a string.
    accepts: (element) =>
      ((typeof element === 'string' && DECIMAL.test(element)) || Number.isSafeInteger(element)) &&
      BigInt(element as string | number) >= least &&
      BigInt(element as string | number) <= most,
    write: (view, at, element) => view[set](at, BigInt(element), true),
    read(view, at) {
      const value = view[get](at, true);
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    },
  };
}

const float = (
  width: number,
  rounded: (value: number) => number,
  write: (view: DataView, at: number, value: number) => void,
  read: (view: DataView, at: number) => number,
): Codec => ({
  width,
  // A number that would round to infinity is rejected.
  accepts: (element) => typeof element === 'number' && Number.isFinite(rounded(element)),
  write: (view, at, element) => write(view, at, Number(element)),
  read,
});

export const CODECS: Readonly<Record<Fixed, Codec>> = {
  BOOL: {
    width: 1,
    accepts: (element) => typeof element === 'boolean',
    write: (view, at, element) => view.setUint8(at, element ? 1 : 0),
    read: (view, at) => view.getUint8(at) !== 0,
  },
  UINT8: unsigned(1),
  UINT16: unsigned(2),
  UINT32: unsigned(4),
  UINT64: wide(0n, 2n ** 64n - 1n, 'setBigUint64'),
  INT8: signed(1),
  INT16: signed(2),
  INT32: signed(4),
  INT64: wide(-(2n ** 63n), 2n ** 63n - 1n, 'setBigInt64'),
  FP16: float(
    2,
    (value) => halfValue(halfBits(value)),
    (view, at, value) => view.setUint16(at, halfBits(value), true),
    (view, at) => halfValue(view.getUint16(at, true)),
  ),
  BF16: float(
    2,
    (value) => bfloatValue(bfloatBits(value)),
    (view, at, value) => view.setUint16(at, bfloatBits(value), true),
    (view, at) => bfloatValue(view.getUint16(at, true)),
  ),
  FP32: float(
    4,
    Math.fround,
    (view, at, value) => view.setFloat32(at, value, true),
    (view, at) => view.getFloat32(at, true),
  ),
  FP64: float(
    8,
    (value) => value,
    (view, at, value) => view.setFloat64(at, value, true),
    (view, at) => view.getFloat64(at, true),
  ),
};
