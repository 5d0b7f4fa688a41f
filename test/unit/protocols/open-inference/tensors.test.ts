import { describe, expect, it, test } from 'vitest';
import {
  fp32Tensor,
  readBytes,
  readFp32,
  readInt16,
  readInt32,
  readText,
  readTexts,
  type Tensor,
  textTensor,
} from '../../../../protocols/open-inference/tensors.js';

const tensor = (datatype: string, shape: number[], bytes: readonly number[]): Tensor => ({
  name: 'OUT',
  datatype,
  shape,
  raw: Buffer.from(bytes),
});

describe('tensors on the wire', () => {
  it('writes texts as a little-endian length and UTF-8 bytes each', () => {
    expect(textTensor('TEXT', [2, 1], 'hé', '')).toEqual({
      name: 'TEXT',
      datatype: 'BYTES',
      shape: [2, 1],
      raw: Buffer.from([3, 0, 0, 0, 0x68, 0xc3, 0xa9, 0, 0, 0, 0]),
    });
  });

  it('writes FP32 in little-endian', () => {
    expect([...fp32Tensor('AUDIO', [1, 2], Float32Array.of(1, -0.5)).raw]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]);
  });

  it('reads back what it wrote', () => {
    const texts = ['', 'a', 'Zürich 日本 🎧', 'x'.repeat(70_000)];
    expect(readTexts(textTensor('T', [4, 1], ...texts))).toEqual(texts);
    const values = Float32Array.from({ length: 1_001 }, (_, i) => Math.fround(Math.sin(i)));
    expect(readFp32(fp32Tensor('V', [1, 1_001], values))).toEqual(values);
  });

  it('keeps a byte order mark: it is part of the text', () => {
    expect(readText(textTensor('T', [1, 1], '\ufeffok'))).toBe('\ufeffok');
  });

  it('reads integers, also from bytes at an odd address', () => {
    expect(readInt16(tensor('INT16', [1, 3], [0xff, 0x7f, 0x00, 0x80, 0xff, 0xff]))).toEqual(
      Int16Array.of(32_767, -32_768, -1),
    );
    const odd = Buffer.from([9, 0xc0, 0x5d, 0, 0]).subarray(1);
    expect(readInt32({ name: 'OUT', datatype: 'INT32', shape: [1, 1], raw: odd })).toEqual(Int32Array.of(24_000));
  });

  it('reads tensors without elements', () => {
    expect(readInt16(tensor('INT16', [1, 0], []))).toEqual(new Int16Array(0));
    expect(readTexts(tensor('BYTES', [0, 1], []))).toEqual([]);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['another datatype', () => readFp32(tensor('FP16', [1, 1], [0, 0])), /OUT: FP16 instead of FP32/],
    ['fewer bytes than the shape takes', () => readInt16(tensor('INT16', [1, 2], [1, 0])), /2 bytes for shape \[1,2\]/],
    ['more bytes than the shape takes', () => readInt32(tensor('INT32', [1], [1, 0, 0, 0, 5])), /5 bytes/],
    ['half an element', () => readInt16(tensor('INT16', [1, 1], [1])), /1 bytes/],
    ['a negative dimension', () => readInt16(tensor('INT16', [1, -1], [])), /shape \[1,-1\]/],
    ['not a number', () => readFp32(fp32Tensor('OUT', [1, 2], Float32Array.of(1, Number.NaN))), /element 1 is NaN/],
    ['infinity', () => readFp32(fp32Tensor('OUT', [1, 1], Float32Array.of(-1 / 0))), /element 0 is -Infinity/],
    ['a length that is cut off', () => readText(tensor('BYTES', [1, 1], [1, 0, 0])), /element 0 extends beyond the 3/],
    ['a length beyond the end', () => readText(tensor('BYTES', [1, 1], [0xff, 0xff, 0xff, 0xff, 65])), /element 0/],
    ['bytes that are not UTF-8', () => readText(tensor('BYTES', [1, 1], [1, 0, 0, 0, 0xc3])), /not UTF-8/],
    [
      'more texts than the shape',
      () => readTexts(tensor('BYTES', [1], new Array(12).fill(0))),
      /more elements than shape/,
    ],
    ['fewer texts than the shape', () => readTexts(tensor('BYTES', [2, 1], [1, 0, 0, 0, 65])), /1 elements for shape/],
    ['no text', () => readText(tensor('BYTES', [0], [])), /instead of one element/],
    ['two texts for one', () => readText(textTensor('OUT', [2, 1], 'a', 'b')), /\[2,1\] instead of one element/],
  ])('refuses %s as INVALID_OUTPUT', (_, read, message) => {
    expect(read).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT', message: expect.stringMatching(message) }));
  });
});

test('no more elements are made than the shape has', () => {
  const zeros = { name: 'OUT', datatype: 'BYTES', shape: [1], raw: Buffer.alloc(16 * 1024 * 1024) };
  const before = process.memoryUsage().heapUsed;
  expect(() => readBytes(zeros)).toThrow('more elements than shape [1] has');
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * 1024 * 1024);
});

test('of texts no more are made than anybody returns, whatever the shape says', () => {
  const many = { name: 'OUT', datatype: 'BYTES', shape: [4_000, 1_000], raw: Buffer.alloc(16 * 1024 * 1024) };
  expect(() => readBytes(many)).toThrow('more than 1000000 elements');
  // Their product is `Infinity`, and then NaN.
  const unbounded = { ...many, shape: [...Array(20).fill(Number.MAX_SAFE_INTEGER), 0] };
  expect(() => readBytes(unbounded)).toThrow('more than 1000000 elements');
});
