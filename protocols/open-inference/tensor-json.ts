import type { Json } from '../../pipelines/json.js';
import type { AnyTensor } from './any-tensor.js';
import { numbersJson } from './exact-json.js';

/*
 * Tensors in the bodies of the protocol's REST API (specification/protocol/inference_rest.md): `data` is sent flat,
 * row-major, and read flat or nested. 64-bit integers keep their digits both ways.
 */

/** A tensor as a member of `inputs` or `outputs`. */
export function tensorJson(name: string, { dtype, shape, data }: AnyTensor): string {
  const head = JSON.stringify({ name, datatype: dtype, shape }).slice(0, -1);
  const numeric = dtype !== 'BYTES' && dtype !== 'BOOL';
  return `${head},"data":${numeric ? numbersJson(data as (number | string)[]) : JSON.stringify(data)}}`;
}

/** The elements in `data`, as `parseExactly` read it; what is no list as it is. */
export function elementsOf(data: Json, datatype: Json): Json {
  const elements = Array.isArray(data) ? flat(data) : data;
  return isFloat(datatype) ? unquoted(elements) : elements;
}

const isFloat = (datatype: Json): boolean => typeof datatype === 'string' && datatype.startsWith('FP');

/** Elements whose long integers are numbers again: a float may be written as 9007199254740993. */
const unquoted = (elements: Json): Json =>
  Array.isArray(elements) && elements.some(isLongInteger)
    ? elements.map((element: Json) => (isLongInteger(element) ? Number(element) : element))
    : elements;
const isLongInteger = (element: Json): boolean => typeof element === 'string' && /^-?\d{16,}$/.test(element);

/** Row-major order is that of depth first. */
const flat = (data: readonly Json[]): readonly Json[] =>
  data.some(Array.isArray) ? data.flatMap((row) => (Array.isArray(row) ? flat(row) : [row])) : data;
