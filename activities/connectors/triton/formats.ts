import { type Artifact, isArtifact } from '../../../pipelines/artifact.js';
import type { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { Dtype, TensorFileFormat } from '../../../pipelines/media.js';
import { type AnyTensor, badInput, invalid, type Tensor, toWire } from '../../../protocols/open-inference/index.js';
import { isTensorFile, type Media, readTensorFile } from '../tensors/index.js';

/** A stage's declaration of a tensor; -1 for a dimension that varies. */
export interface Format {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** It is passed by reference. */
  readonly file?: TensorFileFormat;
}

/** By tensor name; null if the stage's author described the tensor by a schema of their own. */
export type Formats = Readonly<Record<string, Format | null>>;

/** An input that is an image, which the pool's tensor map makes a tensor. */
export interface ImageFormat {
  readonly image: true;
}
export type InputFormats = Readonly<Record<string, Format | ImageFormat | null>>;

export interface InputParts extends Media {
  /** An image as the tensor of this name. */
  readonly imageAs: (name: string, image: Artifact) => Promise<Tensor>;
}

/** The stage's input as tensors, each checked against its format. Throws `INVALID_INPUT` naming the tensor. */
export async function inputTensors(input: JsonObject, formats: InputFormats, parts: InputParts): Promise<Tensor[]> {
  const unknown = Object.keys(input).find((name) => !Object.hasOwn(formats, name));
  if (unknown !== undefined) throw badInput(unknown, `the stage has no such input (it has: ${namesOf(formats)})`);
  const tensors: Tensor[] = [];
  // One after the other: files are held in memory.
  for (const [name, format] of Object.entries(formats)) {
    const value: unknown = input[name];
    if (value === undefined) throw badInput(name, 'it is missing');
    tensors.push(await inputTensor(name, value, format, parts));
  }
  return tensors;
}

async function inputTensor(
  name: string,
  value: unknown,
  format: Format | ImageFormat | null,
  parts: InputParts,
): Promise<Tensor> {
  if (isArtifact(value)) return parts.imageAs(name, value);
  if (format && 'image' in format) throw badInput(name, 'it is not an image');
  const problem = format && mismatch(format, value as AnyTensor);
  if (problem) throw badInput(name, problem);
  return isTensorFile(value) ? readTensorFile(name, value, parts) : toWire(name, value as AnyTensor);
}

/** Throws `INVALID_OUTPUT` naming the tensor if an output does not have its format. */
export function checkOutput(name: string, format: Format | null, tensor: Pick<AnyTensor, 'dtype' | 'shape'>): void {
  const problem = format && mismatch(format, tensor);
  if (problem) throw invalid({ name }, problem);
}

function mismatch(format: Format, { dtype, shape }: Pick<AnyTensor, 'dtype' | 'shape'>): string | null {
  if (dtype !== format.dtype) return `${dtype} instead of ${format.dtype}`;
  const fits =
    shape.length === format.shape.length && format.shape.every((size, i) => size === -1 || size === shape[i]);
  return fits ? null : `shape [${shape}] instead of [${format.shape}]`;
}

const namesOf = (formats: InputFormats): string => Object.keys(formats).join(', ') || 'none';

/** For outputs that are passed by value and are too large for it. */
export const tooLarge = (name: string, most: number): MillraceError =>
  invalid({ name }, `more than ${most} elements, the limit of tensors passed by value; give its tensor() a file`);
