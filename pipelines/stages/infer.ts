import { z } from 'zod';
import { isArtifact } from '../artifact.js';
import { DTYPES, type Dtype, type Image, type Tensor, type TensorFile, type TensorFileFormat } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const anyTensor = z.object({
  dtype: z.enum(DTYPES),
  shape: z.array(z.int().min(0)),
  data: z.array(z.union([z.number(), z.string(), z.boolean()])),
});
const artifact = z.custom<Image>(isArtifact, 'not an artifact');
const tensorFile = z.object({ dtype: z.enum(DTYPES), shape: z.array(z.int().min(0)), file: artifact });
/** An image becomes a tensor as the pool's tensor map says. */
const parameter = z.union([z.string(), z.number(), z.boolean()]);
const input = z.record(z.string(), z.union([anyTensor, tensorFile, artifact, parameter]));
const output = z.record(z.string(), z.union([anyTensor, tensorFile]));

type Shape = readonly number[];
type Tensors = Readonly<Record<string, z.ZodType<Tensor<Dtype, Shape> | TensorFile<Dtype, Shape>>>>;
type Inputs = Readonly<Record<string, z.ZodType<Tensor<Dtype, Shape> | TensorFile<Dtype, Shape> | Image>>>;
type Values<T extends Inputs> = { [Name in keyof T]: z.output<T[Name]> };

/**
 * Calls any model that speaks the KServe v2 protocol, with tensors: by value, or with `file` by reference. An input of
 * `image()` becomes a tensor as the pool's tensor map says.
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
export const infer = <
  const I extends Inputs,
  const O extends Tensors,
  const P extends Parameters = Record<never, never>,
>(options: {
  model: string;
  /** The model's input tensors, including the batch dimension. */
  inputs: I;
  outputs: O;
  /**
   * Request parameters of the KServe protocol: values, or schemas of values that become fields of the stage's input next to
   * the tensors, such as `sequence_end: z.boolean()`.
   */
  parameters?: P;
}): StageUse<Values<I> & GivenParameters<P>, Values<O>> => ({
  kind: 'infer',
  model: options.model,
  with: {
    inputs: formats(options.inputs),
    outputs: formats(options.outputs),
    ...parametersOf(options.parameters ?? {}),
  },
  input: z.object({ ...schemasOf(options.parameters ?? {}), ...options.inputs }) as unknown as z.ZodType<
    Values<I> & GivenParameters<P>
  >,
  output: z.object(options.outputs) as unknown as z.ZodType<Values<O>>,
});

type ParameterValue = string | number | boolean;
type Parameters = Readonly<Record<string, ParameterValue | z.ZodType<ParameterValue>>>;
type GivenParameters<P> = { [Name in keyof P as P[Name] extends z.ZodType ? Name : never]: z.output<P[Name]> };

const schemasOf = (parameters: Parameters): Record<string, z.ZodType> =>
  Object.fromEntries(
    Object.entries(parameters).flatMap(([name, value]) => (value instanceof z.ZodType ? [[name, value]] : [])),
  );

function parametersOf(parameters: Parameters) {
  const fixed = Object.entries(parameters).flatMap(([name, value]) =>
    value instanceof z.ZodType ? [] : [[name, value] as const],
  );
  const given = Object.keys(schemasOf(parameters));
  return {
    ...(fixed.length > 0 && { parameters: Object.fromEntries(fixed) }),
    ...(given.length > 0 && { parametersFrom: given }),
  };
}

const formats = (tensors: Inputs) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, schema]) => {
      const { tensor = null, tensorFile = tensor, media } = schema.meta() ?? {};
      return [name, (media === 'image' ? { image: true } : tensorFile) as Format];
    }),
  );

/** Null for a tensor that its author described by a schema of their own. */
type Format = { dtype: Dtype; shape: number[]; file?: TensorFileFormat } | { image: true } | null;

export const inferKind: StageKind = { input, output, ...TRAITS.infer };
