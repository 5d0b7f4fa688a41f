import type { JsonObject } from '../../../pipelines/json.js';
import type { Dtype } from '../../../pipelines/media.js';
import { type AnyTensor, badInput, invalid, type Tensor, toWire } from '../../../protocols/open-inference/index.js';

/** A stage's declaration of a tensor; -1 for a dimension that varies. */
export interface Format {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** By tensor name; null if the stage's author described the tensor by a schema of their own. */
export type Formats = Readonly<Record<string, Format | null>>;

/** The stage's input as tensors, each checked against its format. Throws `INVALID_INPUT` naming the tensor. */
export function inputTensors(input: JsonObject, formats: Formats): Tensor[] {
  const unknown = Object.keys(input).find((name) => !Object.hasOwn(formats, name));
  if (unknown !== undefined) throw badInput(unknown, `the stage has no such input (it has: ${namesOf(formats)})`);
  return Object.entries(formats).map(([name, format]) => {
    const tensor = input[name] as unknown as AnyTensor | undefined;
    if (tensor === undefined) throw badInput(name, 'it is missing');
    const problem = format && mismatch(format, tensor);
    if (problem) throw badInput(name, problem);
    return toWire(name, tensor);
  });
}

/** Throws `INVALID_OUTPUT` naming the tensor if an output does not have its format. */
export function checkOutput(name: string, format: Format | null, tensor: AnyTensor): void {
  const problem = format && mismatch(format, tensor);
  if (problem) throw invalid({ name }, problem);
}

function mismatch(format: Format, { dtype, shape }: AnyTensor): string | null {
  if (dtype !== format.dtype) return `${dtype} instead of ${format.dtype}`;
  const fits =
    shape.length === format.shape.length && format.shape.every((size, i) => size === -1 || size === shape[i]);
  return fits ? null : `shape [${shape}] instead of [${format.shape}]`;
}

const namesOf = (formats: Formats): string => Object.keys(formats).join(', ') || 'none';
