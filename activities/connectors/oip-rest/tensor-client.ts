import type { JsonObject } from '../../../pipelines/json.js';
import { fromWire, invalidInput, type Tensor, toWire } from '../../../protocols/open-inference/index.js';
import { checkTensors } from '../tensor-format.js';
import type { ModelTensors, Outputs, RequestOptions, TensorClient } from '../tensors/index.js';
import type { OipRestClient } from './client.js';

/**
 * A server of the REST protocol as a client of tensor maps. Tensors travel as JSON, so what JSON cannot carry is refused:
 * files in BYTES, and at most servers FP16 and BF16.
 */
export class RestTensorClient implements TensorClient {
  readonly #client: OipRestClient;

  constructor(client: OipRestClient) {
    this.#client = client;
  }

  async *responses(
    model: string,
    inputs: readonly Tensor[],
    signal: AbortSignal,
    { outputs, traceparent }: RequestOptions = {},
  ): AsyncGenerator<Outputs, void> {
    const sent = Object.fromEntries(inputs.map((tensor) => [tensor.name, fromWire(tensor, invalidInput)]));
    const given = await this.#client.infer(model, { inputs: sent, ...(outputs && { outputs }) }, signal, traceparent);
    const wanted = outputs ? pick(given, outputs) : given;
    const formats = Object.fromEntries(Object.keys(wanted).map((name) => [name, null]));
    const checked = checkTensors(wanted, formats, 'INVALID_OUTPUT', Number.POSITIVE_INFINITY);
    yield new Map(Object.entries(checked).map(([name, tensor]) => [name, toWire(name, tensor)]));
  }

  tensors(model: string, signal: AbortSignal): Promise<ModelTensors> {
    return this.#client.tensors(model, signal);
  }
}

const pick = (given: Readonly<Record<string, JsonObject>>, names: readonly string[]) =>
  Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
