import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { Tensor } from '../../../pipelines/media.js';
import { numbersJson, parseExactly } from '../../open-inference/index.js';

/*
 * Inference requests and responses as JSON: https://github.com/kserve/open-inference-protocol,
 * specification/protocol/inference_rest.md. A tensor's `data` is sent flat, row-major, and read flat or nested.
 *
 * - FP16 travels as numbers. Triton takes and gives it in its binary extension only, which this connector does not speak:
 *   it refuses such a call. Its gRPC port has no such limit.
 * - BYTES travels as strings, so only UTF-8 text can; there is no agreed form for other bytes.
 * - NaN and the infinities have no JSON. MLServer sends null for them.
 * - 64-bit integers keep their digits, both ways.
 */

/** A tensor by name; what it holds has been checked when it is sent, and is still to be checked when it has come. */
export type Outputs = Readonly<Record<string, JsonObject>>;

export interface InferRequest {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Names of the outputs that are wanted; absent: all. */
  readonly outputs?: readonly string[];
  /** The protocol's request parameters. */
  readonly parameters?: JsonObject;
}

/** The body of a request. */
export function requestJson({ inputs, outputs, parameters }: InferRequest): string {
  const members = [
    ...(parameters === undefined ? [] : [`"parameters":${JSON.stringify(parameters)}`]),
    `"inputs":[${Object.entries(inputs).map(([name, tensor]) => tensorJson(name, tensor))}]`,
    ...(outputs === undefined ? [] : [`"outputs":${JSON.stringify(outputs.map((name) => ({ name })))}`]),
  ];
  return `{${members.join(',')}}`;
}

function tensorJson(name: string, { dtype, shape, data }: Tensor): string {
  const head = JSON.stringify({ name, datatype: dtype, shape }).slice(0, -1);
  const numeric = dtype !== 'BYTES' && dtype !== 'BOOL';
  return `${head},"data":${numeric ? numbersJson(data as (number | string)[]) : JSON.stringify(data)}}`;
}

/** The tensors of a response, by name. Throws `INVALID_OUTPUT` for what is no response of the protocol. */
export function readResponse(text: string): Outputs {
  let response: unknown;
  try {
    response = parseExactly(text);
  } catch (error) {
    throw new MillraceError('INVALID_OUTPUT', 'the answer is not JSON', {}, { cause: error });
  }
  const outputs: unknown = isJsonObject(response) ? response.outputs : undefined;
  if (!Array.isArray(outputs)) throw new MillraceError('INVALID_OUTPUT', 'the answer has no outputs');
  return Object.fromEntries(
    outputs.map((output: unknown) => {
      if (!isJsonObject(output) || typeof output.name !== 'string') {
        throw new MillraceError('INVALID_OUTPUT', 'the answer has an output without a name');
      }
      const { name, datatype = null, shape = null, data = null } = output;
      const elements = Array.isArray(data) ? flat(data) : data;
      return [name, { dtype: datatype, shape, data: isFloat(datatype) ? unquoted(elements) : elements }];
    }),
  );
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
