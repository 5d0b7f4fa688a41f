import type { JsonObject } from '../../../pipelines/json.js';
import type { Dtype, Tensor } from '../../../pipelines/media.js';
import { fromWire, invalidInput, isDtype, sizeOf, toWire } from '../../../protocols/open-inference/index.js';
import type { Call, CallContext, Reply } from '../connector.js';
import { checkTensors, MOST_ZEROS, type TensorFormats } from '../tensor-format.js';
import { isTensorFile, readTensorFile, writeTensorFile } from '../tensors/index.js';
import type { OipRestClient } from './client.js';
import { mapError } from './errors.js';

/** `with` of an `infer` stage. */
interface InferWith {
  readonly inputs: TensorFormats;
  readonly outputs: TensorFormats;
  readonly parameters?: JsonObject;
  /** Names of the parameters that the stage's input has beside the tensors. */
  readonly parametersFrom?: readonly string[];
}

/**
 * Any model, by tensors: those of `with.inputs` are sent, those of `with.outputs` requested, each in the stated form.
 * `with.parameters` are the protocol's request parameters. `wire.ts` lists what JSON cannot carry.
 */
export const infer = {
  async invoke(
    { model, with: options, input }: Call,
    client: OipRestClient,
    { signal, artifacts, traceparent }: Pick<CallContext, 'signal' | 'artifacts' | 'traceparent'>,
  ): Promise<Reply> {
    const { inputs, outputs, parameters, parametersFrom = [] } = options as unknown as InferWith;
    const given = Object.fromEntries(Object.entries(input).filter(([name]) => parametersFrom.includes(name)));
    const tensors = Object.entries(input).filter(([name]) => !parametersFrom.includes(name));
    const values: [string, unknown][] = [];
    for (const [name, value] of tensors) {
      const file = isTensorFile(value);
      values.push([name, file ? fromWire(await readTensorFile(name, value, { artifacts }), invalidInput) : value]);
    }
    const request = {
      inputs: checkTensors(Object.fromEntries(values), inputs, 'INVALID_INPUT', mostOf(inputs)),
      outputs: Object.keys(outputs),
      ...((parameters || parametersFrom.length > 0) && { parameters: { ...parameters, ...given } }),
    };
    const answered = await client.infer(model, request, signal, traceparent);
    const checked = checkTensors(answered, outputs, 'INVALID_OUTPUT', mostOf(outputs));
    const whole: [string, unknown][] = [];
    for (const [name, tensor] of Object.entries(checked)) {
      const file = outputs[name]?.file;
      whole.push([name, file ? await writeTensorFile(toWire(name, tensor), file, { artifacts }) : tensor]);
    }
    return { output: Object.fromEntries(whole) as JsonObject };
  },

  /**
   * A call with zeros (false, empty texts) in the smallest shape that the model accepts by its metadata; only readiness
   * is checked if the metadata lacks the inputs or they are large. A model may reject zeros: an error from the model
   * also proves that it is alive.
   */
  async probe(model: string, client: OipRestClient, signal: AbortSignal): Promise<void> {
    const { inputs: described } = await client.tensors(model, signal);
    const smallest = described.map(({ shape, ...tensor }) => ({
      ...tensor,
      shape: shape.map((size) => (size === -1 ? 1 : size)),
    }));
    const elements = smallest.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    if (described.length === 0 || elements > MOST_ZEROS) return client.ready(model, signal);
    const inputs = smallest.flatMap(({ name, datatype, shape }) =>
      isDtype(datatype) ? [[name, zeros(datatype, shape)]] : [],
    );
    try {
      await client.infer(model, { inputs: Object.fromEntries(inputs) }, signal);
    } catch (error) {
      if (signal.aborted || !ALIVE.has(mapError(error, { endpoint: '', model, signal }).code)) throw error;
    }
  },
};

/** Codes of errors that only a live model returns: it has examined its input. */
const ALIVE: ReadonlySet<string> = new Set(['BACKEND_REJECTED', 'BACKEND_ERROR', 'INVALID_OUTPUT']);

/** Tensors by reference have no limit but the body's. */
const mostOf = (formats: TensorFormats): number | undefined =>
  Object.values(formats).some((format) => format?.file) ? Number.POSITIVE_INFINITY : undefined;

function zeros(dtype: Dtype, shape: readonly number[]): Tensor {
  const zero = dtype === 'BYTES' ? '' : dtype === 'BOOL' ? false : 0;
  return { dtype, shape, data: new Array<typeof zero>(sizeOf(shape)).fill(zero) };
}
