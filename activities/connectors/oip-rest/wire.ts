import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import type { Tensor } from '../../../pipelines/media.js';
import { elementsOf, parseExactly, tensorJson } from '../../../protocols/open-inference/index.js';
import { AnswerShape } from '../answer-shape.js';

/*
 * Inference requests and responses as JSON: https://github.com/kserve/open-inference-protocol,
 * specification/protocol/inference_rest.md. A tensor's `data` is sent flat, row-major, and read flat or nested.
 *
 * - FP16 is sent as numbers. Triton accepts and returns it only in its binary extension, which this connector does not
 *   support: it refuses such a call. Triton's gRPC port has no such limit.
 * - BYTES is sent as strings, so only UTF-8 text is supported; there is no agreed form for other bytes.
 * - NaN and the infinities have no JSON. MLServer sends null for them.
 * - 64-bit integers keep their digits in both directions.
 */

/** A tensor by name; checked before it is sent, unchecked when it arrives. */
export type Outputs = Readonly<Record<string, JsonObject>>;

export interface InferRequest {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Names of the requested outputs; absent: all. */
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

/** The tensors of a response, by name. Throws `INVALID_OUTPUT` if it is no response of the protocol, and as `AnswerShape`. */
export function readResponse(text: string): Outputs {
  new AnswerShape().push(Buffer.from(text));
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
      return [name, { dtype: datatype, shape, data: elementsOf(data, datatype) }];
    }),
  );
}
