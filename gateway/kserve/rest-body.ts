import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import {
  type AnyTensor,
  badInput,
  bytesTensor,
  elementsOf,
  fromWire,
  isDtype,
  parseExactly,
  readBytes,
  tensorJson,
  toWire,
} from '../../protocols/open-inference/index.js';
import { expectModest } from '../input/input-size.js';
import { expectModestJson } from '../input/json-size.js';
import { utf8Text } from '../input/utf8-text.js';
import type { InputTensor, ParameterValues } from './input-tensor.js';
import { GivenTensors } from './read-tensors.js';
import type { OutputTensor } from './write-tensors.js';

/*
 * Bodies of REST's `infer` (specification/protocol/inference_rest.md) with Triton's binary tensor data extension
 * (docs/protocol/extension_binary_data.md): JSON, followed by the bytes of the tensors with the parameter
 * `binary_data_size`, in order; a header has the length of the JSON.
 */

/** The length of the JSON in a body with binary data. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length';

/** MLServer's parameter for binary BYTES in JSON: `"parameters": {"content_type": "base64"}`. */
const CONTENT_TYPE = 'content_type';
const BASE64 = 'base64';

export interface RestRequest {
  readonly id: string | undefined;
  readonly parameters: ParameterValues;
  readonly inputs: GivenTensors;
  readonly outputs: ReadonlyMap<string, ParameterValues>;
}

interface RestReading {
  /** Most bytes of the JSON outside of the strings in it, which may be whole files. */
  readonly maxJsonBytes: number;
  /** Called when the body is no longer kept. */
  readonly left: () => void;
}

/**
 * A member that is null is absent: serializers of typed clients write those that are not set. Throws `INVALID_JSON`, `INVALID_HEADER`,
 * `BODY_TOO_LARGE`, and `INVALID_INPUT` with the member or the tensor.
 */
export function readRequest(
  body: Buffer,
  jsonLength: string | undefined,
  { maxJsonBytes, left }: RestReading,
): RestRequest {
  const end = jsonLength === undefined ? body.length : lengthOf(jsonLength, body);
  const request = jsonOf(body.subarray(0, end), maxJsonBytes);
  const rest = { bytes: body.subarray(end) };
  const { inputs } = request;
  const id = request.id ?? undefined;
  const outputs = request.outputs ?? [];
  if (id !== undefined && typeof id !== 'string') throw invalidField('id', 'must be a string');
  if (!Array.isArray(inputs)) throw invalidField('inputs', 'must be a list of tensors');
  if (!Array.isArray(outputs)) throw invalidField('outputs', 'must be a list of outputs');
  const tensors = inputs.map((input: Json, i) => tensorOf(input, `inputs.${i}`, rest));
  if (rest.bytes.length > 0) throw invalidField('inputs', `${rest.bytes.length} bytes of the body belong to no tensor`);
  return {
    id,
    parameters: parametersIn(request, ''),
    inputs: new GivenTensors(tensors, left),
    outputs: new Map(
      outputs.map((output: Json, i) => {
        if (!isJsonObject(output) || typeof output.name !== 'string')
          throw invalidField(`outputs.${i}`, 'must have the name of an output');
        return [output.name, parametersIn(output, `outputs.${i}.`)];
      }),
    ),
  };
}

function lengthOf(header: string, body: Buffer): number {
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (length > 0 && length <= body.length) return length;
  const message = `must be the length of the JSON, from 1 to the body’s ${body.length} bytes, not "${header}"`;
  throw new MillraceError('INVALID_HEADER', `Inference-Header-Content-Length ${message}`, {
    fields: [{ field: 'Inference-Header-Content-Length', message }],
  });
}

function jsonOf(bytes: Buffer, maxJsonBytes: number): JsonObject {
  expectModestJson(bytes, 'body', { mostOutside: maxJsonBytes });
  const text = utf8Text(bytes, 'body', 'INVALID_JSON');
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch (error) {
    const message = messageOf(error);
    throw new MillraceError('INVALID_JSON', `body: ${message}`, { fields: [{ field: 'body', message }] });
  }
  if (!isJsonObject(value)) throw invalidField('body', 'must be a JSON object');
  expectModest(value, 'body');
  return value;
}

function tensorOf(input: Json, at: string, rest: { bytes: Buffer }): InputTensor {
  if (!isJsonObject(input) || typeof input.name !== 'string') throw invalidField(at, 'must be a tensor with a name');
  const { name, datatype = '', shape, data } = input;
  const parameters = parametersIn(input, `${at}.`);
  if (typeof datatype !== 'string' || !isDtype(datatype)) throw badInput(name, `${datatype} is not a datatype`);
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && (size as number) >= 0))
    throw badInput(name, `${JSON.stringify(shape)} is not a shape`);
  const header = { name, datatype, shape: shape as readonly number[] };
  if (parameters.shared_memory_region !== undefined) throw badInput(name, 'shared memory is not supported');
  const { binary_data_size: size } = parameters;
  if (size !== undefined) {
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > rest.bytes.length)
      throw badInput(name, `binary_data_size is ${size}; ${rest.bytes.length} bytes of the body are left`);
    const raw = rest.bytes.subarray(0, size);
    rest.bytes = rest.bytes.subarray(size);
    return { ...header, raw, parameters };
  }
  const elements = elementsOf(data ?? null, datatype);
  if (!Array.isArray(elements)) throw badInput(name, 'it has no data');
  if (datatype === 'BYTES' && parameters[CONTENT_TYPE] === BASE64) {
    const bytes = elements.map((element: Json, i) => {
      if (typeof element !== 'string') throw badInput(name, `element ${i} is not base64`);
      return Buffer.from(element, 'base64');
    });
    return { ...bytesTensor(name, header.shape, bytes), parameters };
  }
  return { ...toWire(name, { ...header, dtype: datatype, data: elements as AnyTensor['data'] }), parameters };
}

function parametersIn({ parameters }: JsonObject, at: string): ParameterValues {
  const given = parameters ?? {};
  const isPlain = ([, value]: [string, Json]) => ['string', 'number', 'boolean'].includes(typeof value);
  const set = isJsonObject(given) ? Object.entries(given).filter(([, value]) => value !== null) : undefined;
  if (set?.every(isPlain)) return Object.fromEntries(set) as ParameterValues;
  throw invalidField(`${at}parameters`, 'must be an object of strings, numbers and booleans');
}

export interface RestAnswer {
  readonly body: Buffer;
  /** Length of the JSON if binary data follow it. */
  readonly jsonLength?: number;
}

/**
 * The body of a response.
 * @param head its members before the outputs
 */
export function writeAnswer(head: JsonObject, outputs: readonly OutputTensor[], request: RestRequest): RestAnswer {
  const raws: Buffer[] = [];
  const members = outputs.map((output) => {
    const wanted = request.outputs.get(output.name)?.binary_data ?? request.parameters.binary_data_output ?? false;
    if (wanted !== true) return inJson(output);
    const { name, datatype, shape, raw, parameters } = output;
    raws.push(raw);
    return JSON.stringify({ name, datatype, shape, parameters: { ...parameters, binary_data_size: raw.length } });
  });
  const json = Buffer.from(`${JSON.stringify(head).slice(0, -1)},"outputs":[${members}]}`);
  if (raws.length === 0) return { body: json };
  return { body: Buffer.concat([json, ...raws]), jsonLength: json.length };
}

function inJson({ parameters, files, ...tensor }: OutputTensor): string {
  const { name, shape } = tensor;
  const value: AnyTensor = files
    ? { dtype: 'BYTES', shape, data: readBytes(tensor).map((file) => file.toString(BASE64)) }
    : fromWire(tensor);
  const all = files ? { ...parameters, [CONTENT_TYPE]: BASE64 } : parameters;
  const json = tensorJson(name, value);
  return Object.keys(all).length === 0 ? json : `${json.slice(0, -1)},"parameters":${JSON.stringify(all)}}`;
}
