import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { Dtype } from '../../../pipelines/media.js';
import {
  type AnyTensor,
  fromWire,
  invalid,
  parametersOf,
  sizeOf,
  type Tensor,
} from '../../../protocols/open-inference/index.js';
import { joinedBytes, type RequestOptions, writeTensorFile } from '../tensors/index.js';
import { checkOutput, type Format, type Formats, type InputFormats, inputTensors, tooLarge } from './formats.js';
import { joined } from './join.js';
import type { KindHandler } from './kind-handler.js';
import { outputOf } from './outputs.js';
import { probeWithZeros } from './zeros.js';

/**
 * Most elements of all outputs by value together, the same limit as a stage's tensor schema: they are stored in the
 * run's history. A decoupled model that exceeds it is cancelled.
 */
const MOST_ELEMENTS = 100_000;

/**
 * Any model, by tensors: those of `with.inputs` are sent, those of `with.outputs` requested, each in the stated form.
 * Responses of a decoupled model are joined along the first dimension that its output's format leaves open. Each
 * response is emitted as the number of its elements. Tensors by reference are files, up to the greatest message of the
 * pool in all; they are not decoded.
 *
 * `with.parameters` are the protocol's request parameters. For a model with sequence batching they include
 * `sequence_id` (an integer above 0, or a text if the model's correlation ids are texts), `sequence_start` and
 * `sequence_end`.
 */
export const infer: KindHandler = {
  async invoke(
    { model, with: options, input },
    { client, signal, emit, artifacts, imageAs, requests, mostBytes, traceparent },
  ) {
    const { inputs, outputs, parameters, parametersFrom = [] } = options as unknown as InferWith;
    const [tensors, given] = parted(input, parametersFrom);
    const sent = await inputTensors(tensors, inputs, { artifacts, imageAs });
    const requested: RequestOptions = {
      outputs: Object.keys(outputs),
      parameters: { ...requests, ...parametersOf({ ...parameters, ...given }) },
      ...(traceparent !== undefined && { traceparent }),
    };
    const parts = new Map<string, [AnyTensor, ...AnyTensor[]]>();
    const files = new Map<string, [Tensor, ...Tensor[]]>();
    let elements = 0;
    let bytes = 0;
    let passed = 0;
    for await (const response of client.responses(model, sent, signal, requested)) {
      const before = passed;
      for (const [name, format] of Object.entries(outputs)) {
        const wire = response.get(name);
        if (!wire) continue;
        passed += sizeOf(wire.shape);
        if (format?.file) {
          bytes += wire.raw.length;
          if (bytes > mostBytes) throw invalid(wire, `more than ${mostBytes} bytes of files, the limit of the pool`);
          checkOutput(name, format, { dtype: wire.datatype as Dtype, shape: wire.shape });
          keep(files, name, wire);
          continue;
        }
        elements += sizeOf(wire.shape);
        if (elements > MOST_ELEMENTS) throw tooLarge(name, MOST_ELEMENTS);
        const tensor = fromWire(wire);
        checkOutput(name, format, tensor);
        keep(parts, name, tensor);
      }
      emit(passed - before);
    }
    const whole: [string, Json][] = [];
    for (const [name, format] of Object.entries(outputs)) {
      if (!format?.file) {
        whole.push([name, joined(name, outputOf(parts, name), format) as unknown as Json]);
        continue;
      }
      const file = joinedBytes(outputOf(files, name), axisOf(format));
      files.delete(name);
      whole.push([name, await writeTensorFile(file, format.file, { artifacts })]);
    }
    return { output: Object.fromEntries(whole) as JsonObject };
  },
  probe: probeWithZeros,
};

function keep<T>(all: Map<string, [T, ...T[]]>, name: string, part: T): void {
  const earlier = all.get(name);
  if (earlier) earlier.push(part);
  else all.set(name, [part]);
}

/** The dimension along which responses are joined: the first open one. */
const axisOf = ({ shape }: Format): number => shape.indexOf(-1);

/** `with` of an `infer` stage. */
interface InferWith {
  readonly inputs: InputFormats;
  readonly outputs: Formats;
  readonly parameters?: ParameterValues;
  /** Names of the parameters that the stage's input has beside the tensors. */
  readonly parametersFrom?: readonly string[];
}

type ParameterValues = Readonly<Record<string, string | number | boolean>>;

/** The tensors and the request parameters of an input. */
function parted(input: JsonObject, names: readonly string[]): [JsonObject, ParameterValues] {
  const entries = Object.entries(input);
  const given = entries.filter(([name]) => names.includes(name));
  return [
    Object.fromEntries(entries.filter(([name]) => !names.includes(name))),
    Object.fromEntries(given) as ParameterValues,
  ];
}
