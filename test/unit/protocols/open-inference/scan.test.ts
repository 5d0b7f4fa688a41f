import { describe, expect, it, test } from 'vitest';
import { expectModestRequest, MOST_PARTS, textTensor } from '../../../../protocols/open-inference/index.js';
import { inferenceService } from '../../../../protocols/open-inference/protocol.js';

const encode = (request: object): Buffer => inferenceService.ModelInfer?.requestSerialize(request) ?? Buffer.alloc(0);

/** A field with a length. */
function field(number: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes]);
}
const times = (count: number, bytes: Buffer): Buffer => Buffer.alloc(count * bytes.length, bytes);
const contents = (bytes: Buffer): Buffer => field(5, field(5, bytes));

test('what clients send passes', () => {
  const { raw, ...tensor } = textTensor('text', [1], 'hello');
  const parameters = { priority: { string_param: 'batch' }, n: { int64_param: '-1' }, share: { double_param: 0.5 } };
  expectModestRequest(Buffer.alloc(0));
  expectModestRequest(
    encode({
      model_name: 'a',
      id: '7',
      parameters,
      inputs: [tensor],
      raw_input_contents: [raw],
      outputs: [{ name: 'o' }],
    }),
  );
  const typed = {
    ...{ bool_contents: [true], int_contents: [-1], int64_contents: ['-1'], uint_contents: [1] },
    ...{ uint64_contents: ['1'], fp32_contents: [0.5], fp64_contents: [0.5], bytes_contents: [Buffer.from('x')] },
  };
  expectModestRequest(encode({ inputs: [{ name: 'n', shape: [1], parameters, contents: typed }] }));
  // An image of 512 × 512 in three colours.
  expectModestRequest(encode({ inputs: [{ contents: { fp32_contents: new Array(3 * 512 * 512).fill(0.5) } }] }));
});

describe('is refused before anything is made of it', () => {
  const empty = Buffer.from([0x42, 0]);
  it.each<[string, Buffer]>([
    ['empty elements of BYTES', contents(times(MOST_PARTS, empty))],
    ['integers of 64 bits', contents(field(3, Buffer.alloc(MOST_PARTS + 1)))],
    ['numbers in a row', contents(field(2, Buffer.alloc(2 ** 20 + 1)))],
    ['numbers one by one', contents(times(2 ** 20 + 1, Buffer.from([0x10, 0])))],
    ['floats', contents(field(6, Buffer.alloc(4 * 2 ** 20 + 4)))],
    ['dimensions', field(5, field(3, Buffer.alloc(MOST_PARTS + 1)))],
    ['tensors', times(MOST_PARTS + 1, Buffer.from([0x2a, 0]))],
    ['outputs', times(MOST_PARTS + 1, Buffer.from([0x32, 0]))],
    ['raw contents', times(MOST_PARTS + 1, Buffer.from([0x3a, 0]))],
    ['parameters', times(MOST_PARTS + 1, Buffer.from([0x22, 0]))],
    ['fields that are unknown', times(MOST_PARTS + 1, Buffer.from([0x78, 0]))],
    ['a long name', field(1, Buffer.alloc(65_537))],
  ])('too much: %s', (_, bytes) => {
    expect(() => expectModestRequest(bytes)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it.each<[string, Buffer]>([
    ['a field behind its end', Buffer.from([0x0a, 5, 1])],
    ['a length without end', Buffer.from([0x0a, ...new Array(11).fill(0xff)])],
    ['half a number', Buffer.from([0x08, 0x80])],
    ['half a double', Buffer.from([0x39, 1, 2])],
    ['groups in groups', Buffer.alloc(1_000_000, 0x0b)],
    ['a part that reaches out of its own', contents(Buffer.from([0x42, 9]))],
  ])('broken: %s', (_, bytes) => {
    expect(() => expectModestRequest(bytes)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });
});
