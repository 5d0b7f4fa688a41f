import type { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { checkTensors, type TensorFormats } from '../tensor-format.js';

type Wrong = (problem: string) => MillraceError;

/** A tensor as nested lists, as most APIs of JSON write them, or an object of tensors by their names. */
export function nestedOf(value: Json, wrong: Wrong): Json {
  if (!isJsonObject(value)) throw wrong('is not a tensor');
  if (isTensor(value)) return lists(value.data as readonly Json[], value.shape as readonly number[], wrong);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, nestedOf(each, wrong)]));
}

const isTensor = ({ shape, data }: JsonObject): boolean => Array.isArray(shape) && Array.isArray(data);

function lists(data: readonly Json[], shape: readonly number[], wrong: Wrong): Json {
  const [length, ...inner] = shape;
  if (length === undefined) return data[0] ?? null;
  if (inner.length === 0) return data.slice(0, length);
  const step = inner.reduce((product, size) => product * size, 1);
  if (data.length !== length * step) throw wrong(`has ${data.length} elements for shape [${shape}]`);
  return Array.from({ length }, (_, i) => lists(data.slice(i * step, (i + 1) * step), inner, wrong));
}

/**
 * The tensors of an `infer` stage: those of an answer that has them by their names, as tensors or as nested lists; a
 * list alone is the only output. Throws `INVALID_OUTPUT` for what does not fit the stage's formats.
 */
export function tensorsOf(answer: Json, formats: TensorFormats): JsonObject {
  const names = Object.keys(formats);
  const [only] = names;
  const named =
    isJsonObject(answer) && !isTensor(answer)
      ? answer
      : only !== undefined && names.length === 1
        ? { [only]: answer }
        : {};
  const values = Object.fromEntries(
    Object.entries(named).map(([name, value]) => [name, isJsonObject(value) ? value : asTensor(value, formats[name])]),
  );
  return checkTensors(values, formats, 'INVALID_OUTPUT') as unknown as JsonObject;
}

function asTensor(value: Json, format: TensorFormats[string] | undefined): JsonObject {
  const dtype = format?.dtype ?? 'FP32';
  const shape = shapeOf(value);
  const flat = Array.isArray(value) ? (value.flat(shape.length) as Json[]) : [value];
  return { dtype, shape, data: flat };
}

/** By the first item of each list; a list of another length is found by the count of the elements. */
function shapeOf(value: Json): number[] {
  const shape: number[] = [];
  for (let at: Json | undefined = value; Array.isArray(at); at = at[0]) shape.push(at.length);
  return shape;
}
