/*
 * IEEE 754 binary16 (FP16): 1 sign bit, 5 exponent bits with a bias of 15, 10 fraction bits. Written by hand because
 * `DataView` has `getFloat16` only from Node 24 on.
 */

const SUBNORMAL_UNIT = 2 ** -24;
const LEAST_NORMAL = 2 ** -14;
/** Midpoint between the largest half, 65504, and the next value: numbers from here on round to infinity. */
const OVERFLOW = 65_520;

const SIGN = 0x8000;
const INFINITY = 0x7c00;
const NOT_A_NUMBER = 0x7e00;

const scratch = new DataView(new ArrayBuffer(8));

/** The bits of the half nearest to `value`; ties go to the even one. */
export function halfBits(value: number): number {
  if (Number.isNaN(value)) return NOT_A_NUMBER;
  const sign = value < 0 || Object.is(value, -0) ? SIGN : 0;
  const size = Math.abs(value);
  if (size >= OVERFLOW) return sign | INFINITY;
  // Rounding up from the largest subnormal carries into the exponent, which correctly gives the smallest normal.
  if (size < LEAST_NORMAL) return sign | roundToEven(size / SUBNORMAL_UNIT);
  scratch.setFloat64(0, size);
  const exponent = (scratch.getUint16(0) >>> 4) - 1_023;
  return sign | (((exponent + 15) << 10) + roundToEven((size / 2 ** exponent - 1) * 1_024));
}

/** The value of a half. */
export function halfValue(bits: number): number {
  const sign = bits & SIGN ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * SUBNORMAL_UNIT;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

/*
 * bfloat16 (BF16): the upper 16 bits of a binary32, i.e. 8 exponent bits and 7 fraction bits.
 */

/** The bits of the bfloat16 nearest to `value`; ties go to the even one. */
export function bfloatBits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const [upper, lower] = [bits >>> 16, bits & 0xffff];
  const up = lower > 0x8000 || (lower === 0x8000 && upper % 2 === 1);
  return upper + Number(up);
}

/** The value of a bfloat16. */
export function bfloatValue(bits: number): number {
  scratch.setUint32(0, bits * 0x1_0000);
  return scratch.getFloat32(0);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
