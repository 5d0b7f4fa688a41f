import { describe, expect, it } from 'vitest';
import { readResponse, requestJson } from '../../../../activities/connectors/oip-rest/wire.js';
import { DTYPES, type Tensor } from '../../../../pipelines/media.js';
import { numbersJson, parseExactly } from '../../../../protocols/open-inference/exact-json.js';

describe('integers in JSON', () => {
  it.each<[string, unknown]>([
    ['[9223372036854775807,-9223372036854775808]', ['9223372036854775807', '-9223372036854775808']],
    ['[18446744073709551615, 9007199254740991]', ['18446744073709551615', 9007199254740991]],
    ['[9007199254740992,9007199254740993]', ['9007199254740992', '9007199254740993']],
    ['{"a": 9007199254740993 }', { a: '9007199254740993' }],
    ['9007199254740993', 9007199254740992],
    [
      '[0.0364107489585876490,1e300,12345678901234567e3]',
      ['0.0364107489585876490', '1e300', '12345678901234567e3'].map(Number),
    ],
    [
      '["9007199254740993","a\\",9007199254740993,\\\\",9007199254740993]',
      ['9007199254740993', 'a",9007199254740993,\\', '9007199254740993'],
    ],
    ['[ 9007199254740993\n]', ['9007199254740993']],
  ])('reads %s', (text, value) => {
    expect(parseExactly(text)).toEqual(value);
  });

  it.each(['[9007199254740993', '[-,9007199254740993]', '["9007199254740993,1]', '[9007199254740993,NaN]', ''])(
    'says that %s is no JSON',
    (text) => expect(() => parseExactly(text)).toThrow(SyntaxError),
  );

  it('reads strings of many MB beside long integers', () => {
    const text = 'x\\"9007199254740993,'.repeat(500_000);
    expect(parseExactly(`["${text}",9007199254740993]`)).toEqual([text.replaceAll('\\"', '"'), '9007199254740993']);
  });

  it('writes decimal texts as numbers', () => {
    expect(numbersJson([1, '18446744073709551615', '-007', 0.5, 1e21])).toBe('[1,18446744073709551615,-7,0.5,1e+21]');
  });

  it('gives back what it wrote, whatever the digits', () => {
    // A linear congruential generator with the constants of Knuth's MMIX: its states are 64-bit integers.
    let state = 1n;
    const values = Array.from({ length: 2_000 }, (_, i) => {
      state = (state * 6364136223846793005n + 1442695040888963407n) & (2n ** 64n - 1n);
      const value = BigInt.asIntN(64, state) >> BigInt(i % 64);
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    });
    expect(parseExactly(numbersJson(values))).toEqual(values);
  });
});

describe('requests and responses', () => {
  it('writes inputs, the outputs wanted and parameters', () => {
    const text = requestJson({
      inputs: {
        ID: { dtype: 'INT64', shape: [2], data: [1, '9223372036854775807'] },
        TEXT: { dtype: 'BYTES', shape: [1, 1], data: ['é "1"'] },
        ON: { dtype: 'BOOL', shape: [1], data: [true] },
      },
      outputs: ['OUT'],
      parameters: { sequence_id: 7, sequence_start: true },
    });
    expect(text).toContain('"data":[1,9223372036854775807]');
    expect(JSON.parse(text.replace('9223372036854775807', '2'))).toEqual({
      parameters: { sequence_id: 7, sequence_start: true },
      inputs: [
        { name: 'ID', datatype: 'INT64', shape: [2], data: [1, 2] },
        { name: 'TEXT', datatype: 'BYTES', shape: [1, 1], data: ['é "1"'] },
        { name: 'ON', datatype: 'BOOL', shape: [1], data: [true] },
      ],
      outputs: [{ name: 'OUT' }],
    });
    expect(requestJson({ inputs: {} })).toBe('{"inputs":[]}');
  });

  it('reads data flat and nested, in the same order', () => {
    const output = (data: unknown) =>
      JSON.stringify({ outputs: [{ name: 'A', datatype: 'FP32', shape: [2, 1, 2], data }] });
    const expected = { A: { dtype: 'FP32', shape: [2, 1, 2], data: [1, 2, 3, 4] } };
    expect(readResponse(output([1, 2, 3, 4]))).toEqual(expected);
    expect(readResponse(output([[[1, 2]], [[3, 4]]]))).toEqual(expected);
  });

  it('takes a long integer for a number where the type is a float', () => {
    const output = (datatype: string) =>
      readResponse(`{"outputs":[{"name":"A","datatype":"${datatype}","shape":[2],"data":[9007199254740993,"1"]}]}`).A
        ?.data;
    expect(output('FP64')).toEqual([9007199254740992, '1']);
    expect(output('INT64')).toEqual(['9007199254740993', '1']);
  });

  it('reads nested data in one pass, and not what is nested without reason', () => {
    const data = (levels: number) => `${'['.repeat(levels)}${Array(50_000).fill('1').join()}${']'.repeat(levels)}`;
    const output = (levels: number) =>
      readResponse(`{"outputs":[{"name":"A","datatype":"FP32","shape":[50000],"data":${data(levels)}}]}`);
    expect(output(60).A?.data).toHaveLength(50_000);
    expect(() => output(1_000)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT' }));
    expect(() => output(50_000)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT' }));
  });

  it('refuses what would fill the memory before it is made', () => {
    const many = `{"outputs":[],"more":[${'[],'.repeat(2_000_000)}[]]}`;
    expect(() => readResponse(many)).toThrow(expect.objectContaining({ code: 'BACKEND_REJECTED' }));
    expect(() => readResponse(`{"more":"${'[],'.repeat(2_000_000)}"}`)).toThrow('the answer has no outputs');
  });

  it.each([
    ['<html>', 'the answer is not JSON'],
    ['{"outputs":[{"name":"A","data":[NaN]}]}', 'the answer is not JSON'],
    ['{"predictions":[]}', 'the answer has no outputs'],
    ['null', 'the answer has no outputs'],
    ['{"outputs":[{"datatype":"FP32"}]}', 'the answer has an output without a name'],
  ])('refuses %s', (text, message) => {
    expect(() => readResponse(text)).toThrow(expect.objectContaining({ code: 'INVALID_OUTPUT', message }));
  });

  it('gives every element type back', () => {
    const tensors = Object.fromEntries(
      DTYPES.map((dtype): [string, Tensor] => {
        const data = dtype === 'BOOL' ? [true, false] : dtype === 'BYTES' ? ['é\u0000', ''] : [0, 100];
        return [dtype, { dtype, shape: [2], data }];
      }),
    );
    const { inputs } = JSON.parse(requestJson({ inputs: tensors })) as { inputs: unknown };
    expect(readResponse(JSON.stringify({ outputs: inputs }))).toEqual(tensors);
  });
});
