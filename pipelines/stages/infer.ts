import { z } from 'zod';
import { DTYPES, type Dtype, type Tensor } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const anyTensor = z.object({
  dtype: z.enum(DTYPES),
  shape: z.array(z.int().min(0)),
  data: z.array(z.union([z.number(), z.string(), z.boolean()])),
});
const input = z.record(z.string(), anyTensor);
const output = z.record(z.string(), anyTensor);

type Tensors = Readonly<Record<string, z.ZodType<Tensor<Dtype, readonly number[]>>>>;
type Values<T extends Tensors> = { [Name in keyof T]: z.output<T[Name]> };

/**
 * Calls any model that speaks the KServe v2 protocol, with tensors.
 *
 * ```ts
 * const scored = stage('score', infer({
 *   model: 'scorer',
 *   inputs: { FEATURES: tensor({ dtype: 'FP32', shape: [1, 4] }) },
 *   outputs: { SCORE: tensor({ dtype: 'FP32', shape: [1] }) },
 * }), { FEATURES: { dtype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] } });
 * scored.SCORE;
 * ```
 */
export const infer = <const I extends Tensors, const O extends Tensors>(options: {
  model: string;
  /** The model's input tensors, including the batch dimension. */
  inputs: I;
  outputs: O;
  /** Request parameters of the KServe protocol. */
  parameters?: Readonly<Record<string, string | number | boolean>>;
}): StageUse<Values<I>, Values<O>> => ({
  kind: 'infer',
  model: options.model,
  with: {
    inputs: formats(options.inputs),
    outputs: formats(options.outputs),
    ...(options.parameters && { parameters: options.parameters }),
  },
  input: z.object(options.inputs) as unknown as z.ZodType<Values<I>>,
  output: z.object(options.outputs) as unknown as z.ZodType<Values<O>>,
});

const formats = (tensors: Tensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, schema]) => [
      name,
      (schema.meta()?.tensor ?? null) as { dtype: Dtype; shape: number[] } | null,
    ]),
  );

export const inferKind: StageKind = { input, output, ...TRAITS.infer };
