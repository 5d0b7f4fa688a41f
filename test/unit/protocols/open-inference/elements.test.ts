import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../../../bench/random.js';
import { DTYPES, type Dtype } from '../../../../pipelines/media.js';
import { type AnyTensor, fromWire, toWire } from '../../../../protocols/open-inference/any-tensor.js';
import type { Element } from '../../../../protocols/open-inference/elements.js';
import { bfloatBits, bfloatValue, halfBits, halfValue } from '../../../../protocols/open-inference/half.js';

/** The least and the greatest value of each integer type. */
const RANGES: Partial<Record<Dtype, readonly [bigint, bigint]>> = Object.fromEntries(
  [8n, 16n, 32n, 64n].flatMap((bits) => [
    [`UINT${bits}`, [0n, 2n ** bits - 1n]],
    [`INT${bits}`, [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n]],
  ]),
);
const inJson = (value: bigint): Element => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value));

/** Elements of a type: its borders, then random ones. */
function elementsOf(dtype: Dtype, count: number, seed: number): Element[] {
  const next = mulberry32(seed);
  const range = RANGES[dtype];
  if (range) {
    const [least, most] = range;
    const within = () => least + (BigInt(Math.floor(next() * 2 ** 53)) * (most - least)) / 2n ** 53n;
    return [least, most, 0n, 1n].map(inJson).concat(Array.from({ length: count }, () => inJson(within())));
  }
  // JSON has no -0: adding 0 turns one into 0.
  const spread = () => (next() - 0.5) * 2 ** Math.floor(next() * 60 - 30);
  switch (dtype) {
    case 'BOOL':
      return Array.from({ length: count }, () => next() < 0.5);
    case 'BYTES':
      return ['', 'é', '日本 🎧', 'x'.repeat(70_000), '\0', '\ufeff'].concat(
        Array.from({ length: count }, () => String.fromCodePoint(Math.floor(next() * 0xd000)).repeat(next() * 9)),
      );
    case 'FP16':
      return [65_504, -65_504, 2 ** -24, 2 ** -14, 0].concat(
        Array.from({ length: count }, () => halfValue(halfBits(Math.max(-65_504, Math.min(65_504, spread())))) + 0),
      );
    case 'BF16':
      return [3.3895313892515355e38, -3.3895313892515355e38, 2 ** -126, 0].concat(
        Array.from({ length: count }, () => bfloatValue(bfloatBits(spread())) + 0),
      );
    case 'FP32':
      return [3.4028234663852886e38, 1.401298464324817e-45, 0].concat(
        Array.from({ length: count }, () => Math.fround(spread())),
      );
    default:
      return [Number.MAX_VALUE, Number.MIN_VALUE, 0].concat(Array.from({ length: count }, spread));
  }
}

const tensor = (dtype: Dtype, ...data: Element[]): AnyTensor => ({ dtype, shape: [data.length], data });
const wire = (dtype: string, shape: number[], ...bytes: number[]) => ({
  name: 'OUT',
  datatype: dtype,
  shape,
  raw: Buffer.from(bytes),
});

describe('elements on the wire', () => {
  it.each(DTYPES)('%s comes back as it was', (dtype) => {
    for (let seed = 1; seed <= 20; seed++) {
      const data = elementsOf(dtype, 200, seed);
      const sent = { dtype, shape: [data.length], data };
      const there = toWire('T', sent);
      // At an odd address, as bytes in a message often lie.
      const raw = Buffer.concat([Buffer.of(0), there.raw]).subarray(1);
      expect(fromWire({ ...there, raw })).toEqual(sent);
      expect(JSON.parse(JSON.stringify(sent))).toEqual(sent);
    }
  });

  it.each<[Dtype, Element[], number[]]>([
    ['BOOL', [true, false], [1, 0]],
    ['UINT8', [0, 255], [0, 255]],
    ['INT8', [-128, 127], [0x80, 0x7f]],
    ['UINT16', [0x1234], [0x34, 0x12]],
    ['INT16', [-2], [0xfe, 0xff]],
    ['UINT32', [0xdeadbeef], [0xef, 0xbe, 0xad, 0xde]],
    ['INT32', [-2], [0xfe, 0xff, 0xff, 0xff]],
    ['UINT64', ['18446744073709551615', 1], [255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0]],
    ['INT64', ['-9223372036854775808'], [0, 0, 0, 0, 0, 0, 0, 0x80]],
    ['FP16', [1, -2], [0x00, 0x3c, 0x00, 0xc0]],
    ['FP32', [1], [0, 0, 0x80, 0x3f]],
    ['FP64', [-2], [0, 0, 0, 0, 0, 0, 0, 0xc0]],
    ['BYTES', ['hé'], [3, 0, 0, 0, 0x68, 0xc3, 0xa9]],
  ])('%s is little-endian: %j', (dtype, data, bytes) => {
    expect([...toWire('T', tensor(dtype, ...data)).raw]).toEqual(bytes);
  });

  it('keeps 64-bit integers exact on both sides of 2^53', () => {
    const data = [2 ** 53 - 1, '9007199254740992', '9007199254740993', -(2 ** 53 - 1), '-9007199254740993'];
    expect(fromWire(toWire('T', tensor('INT64', ...data))).data).toEqual(data);
    expect(fromWire(toWire('T', tensor('INT64', '7', '-0'))).data).toEqual([7, 0]);
  });

  it('takes numbers that are nearest to what it can hold', () => {
    expect(fromWire(toWire('T', tensor('FP32', 0.1))).data).toEqual([Math.fround(0.1)]);
    expect(fromWire(toWire('T', tensor('FP16', 0.1, 1e-9))).data).toEqual([0.0999755859375, 0]);
  });

  it.each<[Dtype, Element, string]>([
    ['UINT8', 256, 'element 1, 256, is not UINT8 number'],
    ['UINT8', -1, '-1'],
    ['INT8', 128, '128'],
    ['INT16', 1.5, '1.5'],
    ['INT32', 2 ** 31, '2147483648'],
    ['UINT32', '1', '"1"'],
    ['INT64', 2 ** 53, '9007199254740992'],
    ['INT64', '9223372036854775808', '"9223372036854775808"'],
    ['UINT64', '-1', '"-1"'],
    ['UINT64', '1e3', '"1e3"'],
    ['UINT64', '', '""'],
    ['UINT64', '9'.repeat(400), '"999'],
    ['FP16', 65_520, '65520'],
    ['FP32', 3.5e38, '3.5e+38'],
    ['FP64', Number.NaN, 'null'],
    ['FP64', Number.POSITIVE_INFINITY, 'null'],
    ['BOOL', 1, '1'],
    ['BYTES', 1, '1, is not a text'],
  ])('%s does not take %j', (dtype, element, message) => {
    const good = dtype === 'BOOL' ? true : dtype === 'BYTES' ? 'x' : 1;
    expect(() => toWire('T', tensor(dtype, good, element))).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        message: expect.stringMatching(/^input tensor T: element 1, /),
        details: { fields: [{ field: 'T', message: expect.stringContaining(message) }] },
      }),
    );
  });

  it('does not take more or fewer elements than the shape has', () => {
    expect(() => toWire('T', { dtype: 'INT8', shape: [2, 2], data: [1, 2, 3] })).toThrow(
      'input tensor T: 3 elements for shape [2,2], which takes 4',
    );
  });

  it.each<[string, ReturnType<typeof wire>, RegExp]>([
    ['NaN in FP16', wire('FP16', [1], 0x00, 0x7e), /element 0 is NaN, which JSON cannot represent/],
    ['infinity in FP16', wire('FP16', [2], 0, 0, 0x00, 0xfc), /element 1 is -Infinity/],
    ['NaN in FP32', wire('FP32', [1], 0, 0, 0xc0, 0x7f), /element 0 is NaN/],
    ['infinity in FP64', wire('FP64', [1], 0, 0, 0, 0, 0, 0, 0xf0, 0x7f), /element 0 is Infinity/],
    ['bytes missing', wire('INT64', [2], 1, 2, 3), /3 bytes for shape \[2\], which takes 16/],
    ['bytes too many', wire('BOOL', [1], 1, 2), /2 bytes for shape \[1\]/],
    ['a type that nobody reads', wire('FP8', [1], 0), /elements of type FP8 cannot be read/],
    ['bytes that are not UTF-8', wire('BYTES', [1], 1, 0, 0, 0, 0xff), /element 0 is not UTF-8/],
  ])('refuses an answer with %s', (_, answer, message) => {
    expect(() => fromWire(answer)).toThrow(
      expect.objectContaining({ code: 'INVALID_OUTPUT', message: expect.stringMatching(message) }),
    );
  });
});

describe('FP16', () => {
  it('stands for the numbers of IEEE 754', () => {
    const known: [number, number][] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x0001, 2 ** -24],
      [0x03ff, 1_023 * 2 ** -24],
      [0x0400, 2 ** -14],
      [0x3555, 0.333251953125],
      [0x3c00, 1],
      [0x3c01, 1 + 2 ** -10],
      [0x7bff, 65_504],
      [0xfbff, -65_504],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
    ];
    for (const [bits, value] of known) {
      expect(halfValue(bits)).toBe(value);
      expect(halfBits(value)).toBe(bits);
    }
    expect(halfValue(0x7c01)).toBeNaN();
    expect(halfValue(halfBits(Number.NaN))).toBeNaN();
  });

  it('gives every pattern back, subnormals among them', () => {
    for (let bits = 0; bits < 2 ** 16; bits++) {
      const value = halfValue(bits);
      if (!Number.isNaN(value) && halfBits(value) !== bits) expect(halfBits(value)).toBe(bits);
    }
  });

  it('rounds to the nearest, half-way to the even one', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [halfValue(bits), halfValue(bits + 1)];
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const got = [middle, middle - (high - low) / 8, middle + (high - low) / 8].map(halfBits);
      if (got[0] !== even || got[1] !== bits || got[2] !== bits + 1) expect(got).toEqual([even, bits, bits + 1]);
    }
  });

  it('does not round twice: what a float of 32 bits in between would', () => {
    // Just above half-way between 1 and the next half; as FP32 it is exactly half-way and would go down to 1.
    expect(halfBits(1 + 2 ** -11 + 2 ** -40)).toBe(0x3c01);
  });
});
