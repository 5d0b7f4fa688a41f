import { describe, expect, it } from 'vitest';
import { chosen } from '../../../../measure/optimize/optimise.js';
import { ctranslate2Variants, ggufVariants, onnxVariants } from '../../../../measure/optimize/variants.js';

const names = ({ variants }: { readonly variants: readonly { readonly name: string }[] }) =>
  variants.map(({ name }) => name);
const why = ({ skipped }: ReturnType<typeof onnxVariants>, name: string) =>
  skipped.find((each) => each.name === name)?.why;

describe('variants for ONNX Runtime', () => {
  it('are the graph’s levels, threads, and int8 in each way that there is data for', () => {
    const plan = onnxVariants({ cores: 2, calibration: ['a', 'b'], served: '/s.onnx' });
    expect(names(plan)).toEqual([
      ...['fp32', 'fp32-basic', 'fp32-plain', 'fp32-1-thread', 'served'],
      ...['int8-dynamic', 'int8-dynamic-1-thread', 'int8-dynamic-channel', 'int8-static'],
    ]);
    expect(plan.variants.at(-1)?.convert).toEqual({ op: 'onnx-static', texts: ['a', 'b'] });
    expect(plan.variants.find(({ name }) => name === 'served')?.weights).toBe('/s.onnx');
    expect(why(plan, 'fp16')).toContain('no operators in float16');
  });

  it('say what is missing for static quantisation', () => {
    const plan = onnxVariants({ cores: 1, calibration: [] });
    expect(names(plan)).toEqual(['fp32', 'fp32-basic', 'fp32-plain', 'int8-dynamic', 'int8-dynamic-channel']);
    expect(why(plan, 'int8-static')).toContain('--calibration');
  });

  it('never quantise what is quantised', () => {
    const plan = onnxVariants({ cores: 8, calibration: ['a'], quantised: true });
    expect(plan.variants.every(({ convert }) => convert === undefined)).toBe(true);
    expect(plan.variants[0]?.serve).toEqual({ level: 'all', threads: 4 });
    expect(why(plan, 'int8-dynamic')).toContain('quantised already');
  });
});

describe('variants for CTranslate2', () => {
  it('are the compute types that it offers on the processor, the most exact first', () => {
    const plan = ctranslate2Variants({ cores: 2, computeTypes: ['int8', 'float32', 'int8_float32'] });
    expect(names(plan)).toEqual(['float32', 'int8_float32', 'int8', 'int8-1-thread']);
    expect(plan.skipped.map(({ name }) => name)).toEqual([
      ...['float16', 'bfloat16', 'int16', 'int8_float16', 'int8_bfloat16'],
    ]);
  });
});

describe('variants for llama.cpp', () => {
  const q4 = { cores: 2, elements: { Q4_1: 90, Q8_0: 10 }, rowsOf256: false };

  it('are made of quantised weights only if that is allowed, and say so', () => {
    const refused = ggufVariants({ ...q4, requantise: false });
    expect(names(refused)).toEqual(['q4_1', 'q4_1-1-thread']);
    expect(why(refused, 'q8_0')).toContain('--requantise');
    const allowed = ggufVariants({ ...q4, requantise: true });
    expect(names(allowed)).toEqual(['q4_1', 'q4_1-1-thread', 'f16', 'q8_0', 'q5_1', 'q5_0', 'q4_0']);
    expect(allowed.variants.find(({ name }) => name === 'q8_0')?.what).toContain('made of q4_1');
  });

  it('are made of exact weights without being asked', () => {
    const plan = ggufVariants({ cores: 1, elements: { F16: 1 }, rowsOf256: true, requantise: false });
    expect(names(plan)).toEqual(['f16', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0']);
    expect(plan.variants.every(({ what }) => !what.includes('made of'))).toBe(true);
    expect(why(plan, 'q4_k, q5_k, q6_k')).toContain('llama-quantize');
  });
});

describe('the choice of variants', () => {
  const { variants } = ctranslate2Variants({ cores: 1, computeTypes: ['float32', 'int8'] });

  it('keeps the original, with which the others are compared', () => {
    expect(chosen(variants, undefined)).toBe(variants);
    expect(chosen(variants, ['int8']).map(({ name }) => name)).toEqual(['float32', 'int8']);
  });

  it('names those that there are when one does not exist', () => {
    expect(() => chosen(variants, ['int4'])).toThrow('there is no variant "int4" here: float32, int8');
  });
});
