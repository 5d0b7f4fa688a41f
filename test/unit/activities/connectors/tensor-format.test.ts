import { describe, expect, it } from 'vitest';
import { checkTensors, type TensorFormats } from '../../../../activities/connectors/tensor-format.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { DTYPES, type Dtype } from '../../../../pipelines/media.js';

const one = (dtype: Dtype, element: unknown) => ({ X: { dtype, shape: [1], data: [element] } });
const formatOf = (dtype: Dtype, shape: readonly number[] = [1]): TensorFormats => ({ X: { dtype, shape } });

function refusal(values: Record<string, unknown>, formats: TensorFormats, code: 'INVALID_INPUT' | 'INVALID_OUTPUT') {
  try {
    checkTensors(values, formats, code);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe(code);
    return (error as MillraceError).message;
  }
  return 'accepted';
}

describe('elements', () => {
  const holds: Record<Dtype, { yes: unknown[]; no: unknown[] }> = {
    BOOL: { yes: [true, false], no: [0, 1, 'true', null] },
    UINT8: { yes: [0, 255], no: [-1, 256, 1.5, '1'] },
    UINT16: { yes: [0, 65_535], no: [-1, 65_536] },
    UINT32: { yes: [0, 4_294_967_295], no: [-1, 4_294_967_296] },
    UINT64: {
      yes: [0, 2 ** 53 - 1, '18446744073709551615', '0'],
      no: [-1, '-1', '18446744073709551616', 2 ** 53, '1e3', '', ' 1', '1'.repeat(400)],
    },
    INT8: { yes: [-128, 127], no: [-129, 128] },
    INT16: { yes: [-32_768, 32_767], no: [-32_769, 32_768] },
    INT32: { yes: [-2_147_483_648, 2_147_483_647], no: [-2_147_483_649, 2_147_483_648] },
    INT64: {
      yes: [-(2 ** 53 - 1), '-9223372036854775808', '9223372036854775807', '5'],
      no: ['9223372036854775808', '-9223372036854775809', 2 ** 53, -(2 ** 60), '0x10', '1.0'],
    },
    FP16: { yes: [0, -65_504, 65_519.9, 1e-9], no: [65_520, -65_520, Number.NaN, '1'] },
    FP32: {
      yes: [0.1, 3.4028234663852886e38, 1e-320],
      no: [3.4028235677973366e38, -1e39, Number.POSITIVE_INFINITY, Number.NaN, null],
    },
    FP64: { yes: [Number.MAX_VALUE, -0.5], no: [Number.NEGATIVE_INFINITY, Number.NaN, '1'] },
    BF16: { yes: [0.1, 3.39e38, -3.39e38], no: [3.4e38, Number.NaN, '1'] },
    BYTES: { yes: ['', 'é\u0000😀'], no: [1, true, null] },
  };

  it.each(DTYPES)('%s: what it holds and what it does not', (dtype) => {
    for (const element of holds[dtype].yes) {
      expect([element, refusal(one(dtype, element), formatOf(dtype), 'INVALID_INPUT')]).toEqual([element, 'accepted']);
    }
    for (const element of holds[dtype].no) {
      expect(refusal(one(dtype, element), formatOf(dtype), 'INVALID_INPUT')).toMatch(/^input tensor X: element 0, /);
    }
  });

  it('agrees with a typed array on what rounds to infinity', () => {
    for (const value of [3.4028235677973362e38, 3.4028235677973366e38, 3.5e38]) {
      const accepted = refusal(one('FP32', value), formatOf('FP32'), 'INVALID_INPUT') === 'accepted';
      expect([value, accepted]).toEqual([value, Number.isFinite(Math.fround(value))]);
    }
  });
});

describe('shapes', () => {
  const fp32 = (shape: unknown, data: unknown) => ({ X: { dtype: 'FP32', shape, data } });

  it('lets a dimension of -1 vary, down to nothing', () => {
    const format = formatOf('FP32', [1, -1]);
    for (const n of [0, 1, 5]) {
      expect(refusal(fp32([1, n], new Array(n).fill(0)), format, 'INVALID_OUTPUT')).toBe('accepted');
    }
  });

  it.each<[string, unknown, unknown, string]>([
    ['another rank', [2], [1, 2], 'shape [2] instead of [2,-1]'],
    ['another size', [3, 1], [1, 2, 3], 'shape [3,1] instead of [2,-1]'],
    ['too few elements', [2, 2], [1, 2, 3], '3 elements for shape [2,2], which takes 4'],
    ['no data', [2, 1], undefined, 'it has no data'],
    ['no shape', undefined, [], 'undefined is not a shape'],
    ['a negative size', [2, -1], [], '[2,-1] is not a shape'],
    ['a huge one', [2, 1e15], [], '0 elements for shape [2,1000000000000000], which takes 2000000000000000'],
  ])('refuses %s', (_, shape, data, problem) => {
    expect(refusal(fp32(shape, data), formatOf('FP32', [2, -1]), 'INVALID_OUTPUT')).toBe(`output tensor X: ${problem}`);
  });

  it('refuses more than 100,000 elements', () => {
    const tensor = { dtype: 'UINT8', shape: [100_001], data: new Array(100_001).fill(0) };
    expect(refusal({ X: tensor }, formatOf('UINT8', [-1]), 'INVALID_OUTPUT')).toContain('at most 100000');
  });
});

describe('names and types', () => {
  const a = { dtype: 'INT8', shape: [1], data: [1] };

  it('names a tensor that is missing, and those that are there', () => {
    const formats = { A: null, B: null };
    expect(refusal({ A: a }, formats, 'INVALID_OUTPUT')).toBe('output tensor B: it is missing (there is: A)');
  });

  it('refuses an input that the stage does not have, and leaves out such an output', () => {
    expect(refusal({ A: a, B: a }, { A: null }, 'INVALID_INPUT')).toBe(
      'input tensor B: the stage has no such tensor (it has: A)',
    );
    expect(checkTensors({ A: a, B: a }, { A: null }, 'INVALID_OUTPUT')).toEqual({ A: a });
  });

  it('names the wrong type, and one that nobody knows', () => {
    expect(refusal({ X: a }, formatOf('INT16'), 'INVALID_INPUT')).toBe('input tensor X: INT8 instead of INT16');
    const odd = { X: { ...a, dtype: 'FP8' } };
    expect(refusal(odd, { X: null }, 'INVALID_OUTPUT')).toBe('output tensor X: unknown element type FP8');
    expect(refusal({ X: 7 }, { X: null }, 'INVALID_INPUT')).toBe('input tensor X: not a tensor');
  });

  it('checks a tensor without a format against itself', () => {
    expect(refusal({ X: { ...a, data: [300] } }, { X: null }, 'INVALID_INPUT')).toContain('is not INT8');
  });

  it('carries the tensor’s name as the field', () => {
    const error = (() => {
      try {
        return checkTensors({}, formatOf('INT8'), 'INVALID_INPUT');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect((error as MillraceError).details.fields).toEqual([
      { field: 'X', message: 'it is missing (there is: none)' },
    ]);
  });
});
