import type { Json } from '../../pipelines/json.js';
import { isFloat } from '../../pipelines/media.js';
import type { AnyTensor } from './any-tensor.js';
import { numbersJson } from './exact-json.js';

/*
 * Tensors in bodies of the protocol's REST API (specification/protocol/inference_rest.md): `data` is written flat in
 * row-major order, and read flat or nested. 64-bit integers keep all digits in both directions.
 */

/** A tensor as an item of `inputs` or `outputs`. */
export function tensorJson(name: string, { dtype, shape, data }: AnyTensor): string {
  const head = JSON.stringify({ name, datatype: dtype, shape }).slice(0, -1);
  const numeric = dtype !== 'BYTES' && dtype !== 'BOOL';
  return `${head},"data":${numeric ? numbersJson(data as (number | string)[]) : JSON.stringify(data)}}`;
}

/** The elements of `data`, parsed by `parseExactly`; a value that is not a list is returned unchanged. */
export function elementsOf(data: Json, datatype: Json): Json {
  const elements = Array.isArray(data) ? flat(data) : data;
  return typeof datatype === 'string' && isFloat(datatype) ? unquoted(elements) : elements;
}

/** Converts long integers back to numbers: a float may be written as 9007199254740993. */
const unquoted = (elements: Json): Json =>
  Array.isArray(elements) && elements.some(isLongInteger)
    ? elements.map((element: Json) => (isLongInteger(element) ? Number(element) : element))
    : elements;
const isLongInteger = (element: Json): boolean => typeof element === 'string' && /^-?\d{16,}$/.test(element);

/** Depth first, which is row-major order. Callers bound the depth of what others have sent. */
function flat(data: readonly Json[]): readonly Json[] {
  if (!data.some(Array.isArray)) return data;
  const elements: Json[] = [];
  const add = (row: readonly Json[]): void => {
    for (const each of row) {
      if (Array.isArray(each)) add(each);
      else elements.push(each);
    }
  };
  add(data);
  return elements;
}
